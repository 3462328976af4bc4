// The before/after view: one line between two pictures, and one zoom for both. Mouse, wheel, fingers and keys do the same.
const LARGEST = 8;
const state = { split: 50, zoom: 1, x: 0, y: 0 };
const find = (name) => element.querySelector(name);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

function paint() {
  const stage = find(".kf-stage");
  if (!stage) return;
  const reach = Math.max(0, state.zoom - 1) / 2 / state.zoom * 100; // how far the middle can go, in percent of the picture
  state.x = clamp(state.x, -reach, reach);
  state.y = clamp(state.y, -reach, reach);
  stage.style.setProperty("--split", state.split + "%");
  stage.style.setProperty("--move", `scale(${state.zoom}) translate(${-state.x}%, ${-state.y}%)`);
  stage.classList.toggle("kf-zoomed", state.zoom > 1);
  stage.classList.toggle("kf-blocks", state.zoom * stage.clientWidth > 2 * Number(stage.dataset.width));
  find(".kf-split").value = state.split;
  find(".kf-zoom").min = Math.min(1, state.zoom);
  find(".kf-zoom").value = state.zoom;
  find(".kf-zoom-value").textContent = Math.round(state.zoom * 100) / 100 + "x";
}

// Zooms so that what is under (clientX, clientY) stays there.
function zoomAt(zoom, clientX, clientY) {
  const box = find(".kf-stage").getBoundingClientRect();
  const x = ((clientX - box.left) / box.width - 0.5) * 100, y = ((clientY - box.top) / box.height - 0.5) * 100;
  zoom = clamp(zoom, 1, Math.max(LARGEST, pixelZoom()));
  state.x += x / state.zoom - x / zoom;
  state.y += y / state.zoom - y / zoom;
  state.zoom = zoom;
  paint();
}

// The zoom at which a pixel of the picture is a pixel of the screen: below 1 where the picture is small.
function pixelZoom() {
  const stage = find(".kf-stage");
  return Number(stage.dataset.width) / devicePixelRatio / stage.clientWidth;
}

function showPixels() {
  if (pixelZoom() < 1) Object.assign(state, { x: 0, y: 0 });
  state.zoom = pixelZoom();
  paint();
}

element.addEventListener("input", (event) => {
  if (event.target.matches(".kf-split")) state.split = Number(event.target.value);
  if (event.target.matches(".kf-zoom")) state.zoom = Number(event.target.value);
  paint();
});

element.addEventListener("wheel", (event) => {
  if (!event.target.closest(".kf-stage")) return;
  event.preventDefault();
  zoomAt(state.zoom * Math.exp(-clamp(event.deltaY, -200, 200) / 400), event.clientX, event.clientY);
}, { passive: false });

const fingers = new Map();
let held = null;
let pinch = null;
let before = { time: 0, split: 50 };

function spread() {
  const [a, b] = [...fingers.values()];
  return { length: Math.hypot(a.x - b.x, a.y - b.y), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
}

element.addEventListener("pointerdown", (event) => {
  const stage = event.target.closest(".kf-stage");
  if (!stage) return;
  event.preventDefault();
  stage.focus({ preventScroll: true });
  stage.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  if (fingers.size === 2) {
    held = null;
    pinch = { ...spread(), zoom: state.zoom };
    state.split = before.split; // the first finger was not meant for the line
    paint();
    return;
  }
  if (event.timeStamp - before.time > 500) before = { time: event.timeStamp, split: state.split };
  held = { x: event.clientX, y: event.clientY, pan: state.zoom > 1 && !event.target.matches(".kf-line") };
  drag(event);
});

element.addEventListener("pointermove", (event) => {
  if (fingers.has(event.pointerId)) fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  if (pinch && fingers.size === 2) {
    const now = spread();
    zoomAt(pinch.zoom * now.length / Math.max(1, pinch.length), now.x, now.y);
    return;
  }
  drag(event);
});

function lift(event) {
  fingers.delete(event.pointerId);
  held = null;
  if (fingers.size < 2) pinch = null;
}
element.addEventListener("pointerup", lift);
element.addEventListener("pointercancel", lift);

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
    state.split = clamp((event.clientX - box.left) / box.width * 100, 0, 100);
  }
  paint();
}

element.addEventListener("dblclick", (event) => {
  if (!event.target.closest(".kf-stage")) return;
  state.split = before.split; // the two clicks were not meant for the line
  if (state.zoom > 1) {
    Object.assign(state, { zoom: 1, x: 0, y: 0 });
    paint();
  } else {
    zoomAt(4, event.clientX, event.clientY);
  }
});

function fill() {
  if (document.fullscreenElement) document.exitFullscreen();
  else find(".kf-compare").requestFullscreen?.();
}

element.addEventListener("click", (event) => {
  const stage = find(".kf-stage");
  if (!stage) return;
  const box = stage.getBoundingClientRect();
  if (event.target.matches(".kf-fit")) zoomAt(1, box.left, box.top);
  if (event.target.matches(".kf-pixels-1")) showPixels();
  if (event.target.matches(".kf-full")) fill();
});
document.addEventListener("fullscreenchange", paint);

element.addEventListener("keydown", (event) => {
  if (!event.target.matches(".kf-stage")) return;
  const step = 10 / state.zoom;
  const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  if (moves[event.key] && state.zoom > 1) {
    state.x += moves[event.key][0];
    state.y += moves[event.key][1];
  } else if (moves[event.key] && moves[event.key][0]) {
    state.split = clamp(state.split + Math.sign(moves[event.key][0]) * 5, 0, 100);
  } else if (event.key === "+" || event.key === "=") {
    state.zoom = Math.min(LARGEST, state.zoom + 1);
  } else if (event.key === "-") {
    state.zoom = Math.max(1, state.zoom - 1);
  } else if (event.key === "1") {
    showPixels();
  } else if (event.key === "f") {
    fill();
  } else {
    return;
  }
  event.preventDefault();
  paint();
});

// The mixture stays as it was looked at when only the strength has changed.
let shown = "";
watch("value", () => {
  const size = props.value ? `${props.value.width} x ${props.value.height} ${props.value.before.split("/").pop()}` : "";
  if (size !== shown) Object.assign(state, { split: 50, zoom: 1, x: 0, y: 0 });
  shown = size;
  paint();
});
paint();
