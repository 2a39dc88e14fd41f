// Paints a mask with the pixels of the canvas: the twin of widgets/canvas/painting.py.
//
// Only the pixels that the canvas shows are made, so that a large photo takes no longer.

import { interpolated } from "../model/resample.js";

const OUTLINE_PX = 2;

// The mask of `logits` of `[h, w]` as {x, y, width, height, rgba}, null if none of it is in sight.
export function painted(logits, [h, w], view, { colour, opacity }) {
  const rows = sampled(h, view.photo[0], view.canvas[0], view.top, view.scale);
  const columns = sampled(w, view.photo[1], view.canvas[1], view.left, view.scale);
  const [down, across] = reached(logits, w, rows, columns);
  if (!down || !across) return null;
  const [x, width] = [across[0], across[1] - across[0]];
  const [y, height] = [down[0], down[1] - down[0]];
  const inside = new Uint8Array(width * height);
  for (let i = 0; i < height; i++) {
    const [first, second, weight] = [rows.first[y + i], rows.second[y + i], rows.weight[y + i]];
    if (first < 0) continue;
    for (let j = 0; j < width; j++) {
      const [a, b, part] = [columns.first[x + j], columns.second[x + j], columns.weight[x + j]];
      if (a < 0) continue;
      const upper = (1 - part) * logits[first * w + a] + part * logits[first * w + b];
      const lower = (1 - part) * logits[second * w + a] + part * logits[second * w + b];
      inside[i * width + j] = (1 - weight) * upper + weight * lower > 0 ? 1 : 0;
    }
  }
  return { x, y, width, height, rgba: coloured(inside, width, height, colour, opacity) };
}

// For each pixel along a side of the canvas the two logits that its photo's pixel lies between,
// and the weight of the second; -1 where it shows no photo.
function sampled(count, length, side, start, scale) {
  const { first: firsts, weights } = interpolated(count, length);
  const [first, second] = [new Int32Array(side).fill(-1), new Int32Array(side).fill(-1)];
  const weight = new Float32Array(side);
  for (let i = 0; i < side; i++) {
    const pixel = Math.floor((i + 0.5) / scale + start);
    if (pixel < 0 || pixel >= length) continue;
    first[i] = firsts[pixel];
    second[i] = Math.min(first[i] + 1, count - 1);
    weight[i] = weights[2 * pixel + 1];
  }
  return { first, second, weight };
}

// The pixels of the canvas, from and to, that read a logit above zero, with room for an outline.
function reached(logits, w, rows, columns) {
  let [top, bottom, left, right] = [Infinity, -1, Infinity, -1];
  for (let at = 0; at < logits.length; at++) {
    if (logits[at] <= 0) continue;
    const [row, column] = [Math.floor(at / w), at % w];
    [top, bottom] = [Math.min(top, row), Math.max(bottom, row)];
    [left, right] = [Math.min(left, column), Math.max(right, column)];
  }
  const span = ({ first, second }, low, high) => {
    const reads = (_, i) => second[i] >= low && first[i] <= high && first[i] >= 0;
    const [from, to] = [first.findIndex(reads), first.findLastIndex(reads)];
    if (from < 0) return null;
    return [Math.max(from - OUTLINE_PX, 0), Math.min(to + 1 + OUTLINE_PX, first.length)];
  };
  return [span(rows, top, bottom), span(columns, left, right)];
}

function coloured(inside, width, height, colour, opacity) {
  let core = inside;
  for (let i = 0; i < OUTLINE_PX; i++) core = thinned(core, width, height);
  const rgba = new Uint8ClampedArray(4 * inside.length);
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  const alpha = Math.round(255 * opacity);
  for (let i = 0, at = 0; i < inside.length; i++, at += 4) {
    if (!inside[i]) continue;
    [rgba[at], rgba[at + 1], rgba[at + 2]] = [red, green, blue];
    rgba[at + 3] = core[i] ? alpha : 255;
  }
  return rgba;
}

// The end of the array is where the canvas ends, not an edge of the object.
function thinned(mask, width, height) {
  const core = mask.slice();
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const isEdge =
        (x > 0 && !mask[at - 1]) ||
        (x < width - 1 && !mask[at + 1]) ||
        (y > 0 && !mask[at - width]) ||
        (y < height - 1 && !mask[at + width]);
      if (isEdge) core[at] = 0;
    }
  }
  return core;
}
