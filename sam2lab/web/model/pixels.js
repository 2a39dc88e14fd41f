// A photo as the normalised pixels of a model: the twin of `preprocess` in runtime/images.py.

import { antialiased } from "./resample.js";

// How many rows of the model are made at a time, so that no copy of the whole photo is needed.
const ROWS_AT_ONCE = 16;

// Resize `photo` to `[height, width]` and normalise it: 3 x height x width floats.
//
// `photo` has a width, a height, and `rows(start, stop)`, which gives RGBA bytes of these rows.
export function preprocess(photo, [height, width], mean, std) {
  const pixels = new Float32Array(3 * height * width);
  const down = antialiased(photo.height, height);
  const across = antialiased(photo.width, width);
  const mixed = new Float32Array(3 * photo.width);
  for (let from = 0; from < height; from += ROWS_AT_ONCE) {
    const to = Math.min(from + ROWS_AT_ONCE, height);
    const start = down.first[from];
    const stop = Math.min(down.first[to - 1] + down.width, photo.height);
    const rgba = photo.rows(start, stop);
    for (let y = from; y < to; y++) {
      mixRows(rgba, down, y, start, photo, mixed);
      for (let channel = 0; channel < 3; channel++) {
        const row = mixed.subarray(channel * photo.width, (channel + 1) * photo.width);
        const at = (channel * height + y) * width;
        // Resizing is linear, so the smaller result is scaled instead of the photo.
        const look = [1 / (255 * std[channel]), mean[channel] / std[channel]];
        mixColumns(row, across, look, pixels.subarray(at, at + width));
      }
    }
  }
  return pixels;
}

function mixRows(rgba, down, y, start, photo, mixed) {
  mixed.fill(0);
  const { width } = photo;
  for (let k = 0; k < down.width && down.first[y] + k < photo.height; k++) {
    const weight = down.weights[down.width * y + k];
    if (weight === 0) continue;
    let at = 4 * width * (down.first[y] + k - start);
    for (let x = 0; x < width; x++, at += 4) {
      mixed[x] += weight * rgba[at];
      mixed[width + x] += weight * rgba[at + 1];
      mixed[2 * width + x] += weight * rgba[at + 2];
    }
  }
}

function mixColumns(row, across, [scale, offset], out) {
  for (let x = 0; x < out.length; x++) {
    const [first, at] = [across.first[x], across.width * x];
    let sum = 0;
    for (let k = 0; k < across.width && first + k < row.length; k++) {
      sum += across.weights[at + k] * row[first + k];
    }
    out[x] = sum * scale - offset;
  }
}
