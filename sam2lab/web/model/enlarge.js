// Enlarges a decoder's logits to a photo's size and thresholds them: the twin of runtime/enlarge.py.
//
// A mask is {x, y, width, height, bits}: the part of the photo that holds all of it, one byte a
// pixel, row by row. An empty mask has width and height 0.

import { interpolated } from "./resample.js";

// The mask of `logits` (h x w floats) above `threshold` on a photo of `[height, width]`.
export function restoreMask(logits, [h, w], [height, width], threshold = 0) {
  const live = liveWindow(logits, h, w, threshold);
  if (!live) return { x: 0, y: 0, width: 0, height: 0, bits: new Uint8Array(0) };
  const [down, across] = [interpolated(h, height), interpolated(w, width)];
  const [top, bottom] = reading(down, live.top, live.bottom);
  const [left, right] = reading(across, live.left, live.right);
  const mask = { x: left, y: top, width: right - left, height: bottom - top };
  mask.bits = new Uint8Array(mask.width * mask.height);
  // Two rows of logits, widened, are enough for all rows of the photo between them.
  const wide = new Map();
  const widened = (row) => {
    if (!wide.has(row)) {
      if (wide.size > 1) wide.delete(wide.keys().next().value);
      wide.set(row, widen(logits.subarray(row * w, (row + 1) * w), across, left, right));
    }
    return wide.get(row);
  };
  for (let y = top, at = 0; y < bottom; y++) {
    const [a, b] = [down.weights[2 * y], down.weights[2 * y + 1]];
    const upper = widened(down.first[y]);
    const lower = b === 0 ? upper : widened(down.first[y] + 1);
    for (let x = 0; x < mask.width; x++, at++) {
      mask.bits[at] = Math.fround(a * upper[x] + b * lower[x]) > threshold ? 1 : 0;
    }
  }
  return mask;
}

// How many pixels a mask has.
export function areaOf(mask) {
  let area = 0;
  for (const bit of mask.bits) area += bit;
  return area;
}

// The window of logits above the threshold; away from it no pixel can be in the mask.
function liveWindow(logits, h, w, threshold) {
  let [top, bottom, left, right] = [h, 0, w, 0];
  for (let y = 0, at = 0; y < h; y++) {
    for (let x = 0; x < w; x++, at++) {
      if (logits[at] <= threshold) continue;
      top = Math.min(top, y);
      bottom = y + 1;
      left = Math.min(left, x);
      right = Math.max(right, x + 1);
    }
  }
  return bottom ? { top, bottom, left, right } : null;
}

// The outputs, from and to, that read one of the inputs from `start` to `stop`.
function reading(taps, start, stop) {
  let from = 0;
  while (from < taps.first.length && taps.first[from] + 1 < start) from++;
  let to = taps.first.length;
  while (to > from && taps.first[to - 1] >= stop) to--;
  return [from, to];
}

function widen(row, across, left, right) {
  const wide = new Float32Array(right - left);
  for (let x = left; x < right; x++) {
    const first = across.first[x];
    const second = Math.min(first + 1, row.length - 1);
    wide[x - left] = across.weights[2 * x] * row[first] + across.weights[2 * x + 1] * row[second];
  }
  return wide;
}
