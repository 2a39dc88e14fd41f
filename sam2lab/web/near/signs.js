// Draws the signs of prompts: the twin of widgets/canvas/marks.py.

import { isBox } from "../model/prompts.js";
import { toCanvas } from "./viewport.js";

const [POSITIVE, NEGATIVE, RADIUS] = ["#0072b2", "#d55e00", 8];
// The square has the same area as the disc.
const HALF = (RADIUS * Math.sqrt(Math.PI)) / 2;

export function drawSign(pen, view, prompt) {
  pen.save();
  if (isBox(prompt)) drawBox(pen, view, prompt);
  else drawPoint(pen, toCanvas(view, [prompt.x + 0.5, prompt.y + 0.5]), prompt.positive);
  pen.restore();
}

function drawBox(pen, view, { x0, y0, x1, y1 }) {
  const [left, top] = toCanvas(view, [x0, y0]);
  const [right, bottom] = toCanvas(view, [x1, y1]);
  pen.lineWidth = 2;
  for (const [colour, dashes] of [
    ["#000000", []],
    ["#ffffff", [6, 4]],
  ]) {
    pen.strokeStyle = colour;
    pen.setLineDash(dashes);
    pen.strokeRect(left, top, right - left, bottom - top);
  }
}

function drawPoint(pen, [x, y], isPositive) {
  for (const [colour, wider] of [
    ["#ffffff", 2],
    [isPositive ? POSITIVE : NEGATIVE, 0],
  ]) {
    pen.fillStyle = colour;
    pen.beginPath();
    const half = HALF + wider;
    if (isPositive) pen.arc(x, y, RADIUS + wider, 0, 2 * Math.PI);
    else pen.rect(x - half, y - half, 2 * half, 2 * half);
    pen.fill();
  }
  pen.fillStyle = "#ffffff";
  pen.fillRect(x - 5, y - 1.25, 10, 2.5);
  if (isPositive) pen.fillRect(x - 1.25, y - 5, 2.5, 10);
}
