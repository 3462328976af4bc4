// The before/after view: one line between two pictures, and one zoom for both. Mouse, finger and keys do the same.
const state = { split: 50, zoom: 1, x: 0, y: 0 };
const find = (name) => element.querySelector(name);

function paint() {
  const stage = find(".kf-stage");
  if (!stage) return;
  const reach = (state.zoom - 1) / 2 / state.zoom * 100; // how far the middle can go, in percent of the picture
  state.x = Math.min(reach, Math.max(-reach, state.x));
  state.y = Math.min(reach, Math.max(-reach, state.y));
  stage.style.setProperty("--split", state.split + "%");
  stage.style.setProperty("--move", `scale(${state.zoom}) translate(${-state.x}%, ${-state.y}%)`);
  stage.classList.toggle("kf-zoomed", state.zoom > 1);
  find(".kf-split").value = state.split;
  find(".kf-zoom").value = state.zoom;
  find(".kf-zoom-value").textContent = state.zoom + "x";
}

element.addEventListener("input", (event) => {
  if (event.target.matches(".kf-split")) state.split = Number(event.target.value);
  if (event.target.matches(".kf-zoom")) state.zoom = Number(event.target.value);
  paint();
});

let held = null;
element.addEventListener("pointerdown", (event) => {
  const stage = event.target.closest(".kf-stage");
  if (!stage) return;
  event.preventDefault();
  stage.focus({ preventScroll: true });
  held = { x: event.clientX, y: event.clientY, pan: state.zoom > 1 && !event.target.matches(".kf-line") };
  stage.setPointerCapture(event.pointerId);
  drag(event);
});
element.addEventListener("pointermove", drag);
element.addEventListener("pointerup", () => { held = null; });
element.addEventListener("pointercancel", () => { held = null; });

function drag(event) {
  const stage = find(".kf-stage");
  if (!held || !stage) return;
  const box = stage.getBoundingClientRect();
  if (held.pan) {
    state.x -= (event.clientX - held.x) / box.width / state.zoom * 100;
    state.y -= (event.clientY - held.y) / box.height / state.zoom * 100;
    held.x = event.clientX;
    held.y = event.clientY;
  } else {
    state.split = Math.min(100, Math.max(0, (event.clientX - box.left) / box.width * 100));
  }
  paint();
}

element.addEventListener("dblclick", (event) => {
  const stage = event.target.closest(".kf-stage");
  if (!stage) return;
  const box = stage.getBoundingClientRect();
  if (state.zoom > 1) {
    state.zoom = 1;
  } else {
    state.zoom = 4;
    state.x = ((event.clientX - box.left) / box.width - 0.5) * 100;
    state.y = ((event.clientY - box.top) / box.height - 0.5) * 100;
  }
  paint();
});

element.addEventListener("keydown", (event) => {
  if (!event.target.matches(".kf-stage")) return;
  const step = 10 / state.zoom;
  const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  if (moves[event.key] && state.zoom > 1) {
    state.x += moves[event.key][0];
    state.y += moves[event.key][1];
  } else if (moves[event.key] && moves[event.key][0]) {
    state.split = Math.min(100, Math.max(0, state.split + Math.sign(moves[event.key][0]) * 5));
  } else if (event.key === "+" || event.key === "=") {
    state.zoom = Math.min(8, state.zoom + 1);
  } else if (event.key === "-") {
    state.zoom = Math.max(1, state.zoom - 1);
  } else {
    return;
  }
  event.preventDefault();
  paint();
});

watch("value", () => {
  Object.assign(state, { split: 50, zoom: 1, x: 0, y: 0 });
  paint();
});
paint();
