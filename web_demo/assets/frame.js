// The frame over a large photo: which part is worked on. Mouse, finger and keys do the same. The value is JSON.
const SMALLEST = 32;
let state = null;
let held = null;
const find = (name) => element.querySelector(name);

function read() {
  try { state = props.value ? JSON.parse(props.value) : null; } catch { state = null; }
  if (state && find(".kf-whole").getAttribute("src") !== state.src) find(".kf-whole").src = state.src;
  paint();
}

// The box keeps inside the photo and within the pixels that the page takes; the width gives way to the height.
function settle() {
  const [width, height] = state.size;
  let [left, top, columns, rows] = state.box;
  columns = Math.round(Math.min(width, Math.max(SMALLEST, columns)));
  rows = Math.round(Math.min(height, Math.max(SMALLEST, rows)));
  if (columns * rows > state.pixels) {
    const share = Math.sqrt(state.pixels / (columns * rows));
    columns = Math.max(SMALLEST, Math.floor(columns * share));
    rows = Math.max(SMALLEST, Math.min(rows, Math.floor(state.pixels / columns)));
    columns = Math.min(columns, Math.floor(state.pixels / rows));
  }
  left = Math.round(Math.min(width - columns, Math.max(0, left)));
  top = Math.round(Math.min(height - rows, Math.max(0, top)));
  state.box = [left, top, columns, rows];
}

function paint() {
  if (!state) return;
  const [width, height] = state.size, [left, top, columns, rows] = state.box;
  const frame = find(".kf-frame");
  find(".kf-photo-stage").style.setProperty("--ratio", `${width} / ${height}`);
  frame.style.left = left / width * 100 + "%";
  frame.style.top = top / height * 100 + "%";
  frame.style.width = columns / width * 100 + "%";
  frame.style.height = rows / height * 100 + "%";
  frame.style.display = state.mode === "part" ? "" : "none";
  frame.classList.toggle("kf-at-right", left + columns / 2 > width / 2); // so that the size is not cut off
  frame.classList.toggle("kf-at-top", top < height / 8);
  find(".kf-frame-size").textContent = `${columns} x ${rows}`;
  find(".kf-shrunk").textContent = `to ${state.shrunk[0]} x ${state.shrunk[1]}`;
  find(".kf-mode-whole").style.display = state.whole ? "" : "none";
  element.querySelectorAll("[name=kf-mode]").forEach((radio) => { radio.checked = radio.value === state.mode; });
}

function hand() {
  props.value = JSON.stringify(state);
  paint();
  trigger("input");
}

const stage = find(".kf-photo-stage");
const frame = find(".kf-frame");
frame.addEventListener("pointerdown", (event) => {
  if (!state) return;
  event.preventDefault();
  frame.focus({ preventScroll: true });
  frame.setPointerCapture(event.pointerId);
  held = { x: event.clientX, y: event.clientY, box: [...state.box], size: event.target.matches(".kf-corner") };
});
frame.addEventListener("pointermove", (event) => {
  if (!held) return;
  const seen = stage.getBoundingClientRect();
  const dx = (event.clientX - held.x) / seen.width * state.size[0];
  const dy = (event.clientY - held.y) / seen.height * state.size[1];
  const [left, top, columns, rows] = held.box;
  if (held.size) {
    state.box = [left, top, Math.min(columns + dx, state.size[0] - left), Math.min(rows + dy, state.size[1] - top)];
  } else {
    state.box = [left + dx, top + dy, columns, rows];
  }
  settle();
  paint();
});
const lift = () => { if (held) { held = null; hand(); } };
frame.addEventListener("pointerup", lift);
frame.addEventListener("pointercancel", lift);

// A click beside the frame brings it there.
stage.addEventListener("click", (event) => {
  if (!state || state.mode !== "part" || event.target.closest(".kf-frame")) return;
  const seen = stage.getBoundingClientRect();
  state.box[0] = (event.clientX - seen.left) / seen.width * state.size[0] - state.box[2] / 2;
  state.box[1] = (event.clientY - seen.top) / seen.height * state.size[1] - state.box[3] / 2;
  settle();
  hand();
});

frame.addEventListener("keydown", (event) => {
  if (!state) return;
  const [left, top, columns, rows] = state.box, step = Math.max(1, Math.round(Math.min(columns, rows) / 10));
  const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  if (moves[event.key]) {
    state.box = [left + moves[event.key][0], top + moves[event.key][1], columns, rows];
  } else if (["+", "=", "-"].includes(event.key)) {
    const grow = event.key === "-" ? -step : step;
    state.box = [left - grow / 2, top - grow / 2, columns + grow, rows + grow];
  } else {
    return;
  }
  event.preventDefault();
  settle();
  hand();
});

element.addEventListener("change", (event) => {
  if (!state || !event.target.matches("[name=kf-mode]")) return;
  event.stopPropagation();
  state.mode = event.target.value;
  hand();
});

watch("value", read);
read();
