// A sheet of K x K taps to draw a kernel on. Pointer: draw; right button or Shift: rub out.
// Keys: arrows move, Space or Enter sets a tap, Delete rubs it out, Ctrl+Z undoes. The value is JSON: rows of taps.
const sheet = () => element.querySelector(".kf-sheet");
const largest = Number(sheet().dataset.largest);
let size = Number(sheet().dataset.size);
let taps = new Float32Array(size * size);
let cursor = [size >> 1, size >> 1];
let pen = null;
let last = null;
let handed = "";
const past = [];

function paint() {
  const canvas = sheet();
  const context = canvas.getContext("2d");
  const cell = canvas.width / size;
  context.fillStyle = "#000006";
  context.fillRect(0, 0, canvas.width, canvas.height);
  taps.forEach((value, index) => {
    if (!value) return;
    context.fillStyle = `hsl(${40 * value} 95% ${8 + 77 * Math.sqrt(value)}%)`;
    context.fillRect((index % size) * cell, Math.floor(index / size) * cell, Math.ceil(cell), Math.ceil(cell));
  });
  context.strokeStyle = "#555";
  context.beginPath();
  context.moveTo(canvas.width / 2, 0); context.lineTo(canvas.width / 2, canvas.height);
  context.moveTo(0, canvas.height / 2); context.lineTo(canvas.width, canvas.height / 2);
  context.stroke();
  if (document.activeElement === canvas) {
    context.strokeStyle = "#fff";
    context.strokeRect(cursor[1] * cell + 1, cursor[0] * cell + 1, cell - 2, cell - 2);
  }
  element.querySelector(".kf-count").textContent = taps.filter((value) => value > 0).length + " taps set";
  element.querySelector(".kf-undo").disabled = !past.length;
}

function remember() {
  past.push({ size, taps: taps.slice() });
  if (past.length > 50) past.shift();
}

function put(row, column, value) {
  if (row < 0 || column < 0 || row >= size || column >= size) return;
  taps[row * size + column] = value;
}

// The brush is round and falls off to its edge; where it passes twice the higher value stays.
function dab(row, column, value) {
  const reach = Number(element.querySelector(".kf-brush").value);
  for (let y = -reach; y <= reach; y++) {
    for (let x = -reach; x <= reach; x++) {
      const share = reach ? Math.exp(-(x * x + y * y) / (0.7 * reach * reach + 0.3)) : 1;
      if (share < 0.1 || row + y < 0 || column + x < 0 || row + y >= size || column + x >= size) continue;
      const index = (row + y) * size + column + x;
      taps[index] = value ? Math.max(taps[index], Math.round(share * 100) / 100) : taps[index] * (1 - share);
      if (taps[index] < 0.01) taps[index] = 0;
    }
  }
}

function hand() {
  const rows = [];
  const short = (value) => Math.round(value * 1000) / 1000;
  for (let row = 0; row < size; row++) rows.push(Array.from(taps.slice(row * size, (row + 1) * size), short));
  handed = taps.some((value) => value > 0) ? JSON.stringify(rows) : "";
  props.value = handed;
  trigger("input");
}

function load() {
  const text = props.value || "";
  if (text === handed) return;
  handed = text;
  past.length = 0;
  try {
    const rows = text ? JSON.parse(text) : [];
    if (rows.length && rows.length <= largest) {
      size = rows.length;
      taps = Float32Array.from(rows.flat());
    } else {
      taps.fill(0);
    }
  } catch { taps.fill(0); }
  cursor = [size >> 1, size >> 1];
  paint();
}

function at(event) {
  const box = sheet().getBoundingClientRect();
  return [Math.floor((event.clientY - box.top) / box.height * size),
          Math.floor((event.clientX - box.left) / box.width * size)];
}

function line(from, to, value) {
  const steps = Math.max(Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1]), 1);
  for (let step = 0; step <= steps; step++) {
    dab(Math.round(from[0] + (to[0] - from[0]) * step / steps), Math.round(from[1] + (to[1] - from[1]) * step / steps), value);
  }
}

element.addEventListener("contextmenu", (event) => { if (event.target.matches(".kf-sheet")) event.preventDefault(); });
element.addEventListener("pointerdown", (event) => {
  if (!event.target.matches(".kf-sheet")) return;
  event.preventDefault();
  sheet().focus({ preventScroll: true });
  sheet().setPointerCapture(event.pointerId);
  remember();
  pen = event.button === 2 || event.shiftKey ? 0 : 1;
  last = at(event);
  line(last, last, pen);
  paint();
});
element.addEventListener("pointermove", (event) => {
  if (pen === null) return;
  const place = at(event);
  line(last, place, pen);
  last = place;
  paint();
});
function lift() {
  if (pen === null) return;
  pen = null;
  hand();
}
element.addEventListener("pointerup", lift);
element.addEventListener("pointercancel", lift);

function undo() {
  const before = past.pop();
  if (!before) return;
  ({ size, taps } = before);
  hand();
  paint();
}

element.addEventListener("keydown", (event) => {
  if (!event.target.matches(".kf-sheet")) return;
  const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  if (moves[event.key]) {
    cursor = cursor.map((value, axis) => Math.min(size - 1, Math.max(0, value + moves[event.key][axis])));
  } else if (event.key === " " || event.key === "Enter") {
    remember();
    put(cursor[0], cursor[1], 1);
    hand();
  } else if (event.key === "Delete" || event.key === "Backspace") {
    remember();
    put(cursor[0], cursor[1], 0);
    hand();
  } else if (event.key === "z" && (event.ctrlKey || event.metaKey)) {
    undo();
  } else {
    return;
  }
  event.preventDefault();
  paint();
});
element.addEventListener("focusin", paint);
element.addEventListener("focusout", paint);
element.addEventListener("click", (event) => {
  if (event.target.matches(".kf-undo")) undo();
  if (!event.target.matches(".kf-clear")) return;
  remember();
  taps.fill(0);
  hand();
  paint();
});
watch("value", load);
load();
paint();
