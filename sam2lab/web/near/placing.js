// What a click or a box makes of an object's prompts: the twin of parts of widgets/session.

import { isBox } from "../model/prompts.js";

// A click on a prompt, within `reach` pixels of the photo, removes it.
export function withPoint(prompts, point, reach) {
  const found = nearest(prompts, point, reach);
  return found === null ? [...prompts, point] : prompts.filter((_, number) => number !== found);
}

// A box replaces the one that is there.
export function withBox(prompts, box) {
  return [...prompts.filter((prompt) => !isBox(prompt)), box];
}

// Points come before boxes, then the nearest, then the latest.
function nearest(prompts, { x, y }, reach) {
  let [found, least] = [null, [1, reach]];
  prompts.forEach((prompt, number) => {
    const rank = [isBox(prompt) ? 1 : 0, distance(prompt, x, y)];
    if (rank[1] > reach || rank[0] > least[0]) return;
    if (rank[0] < least[0] || rank[1] <= least[1]) [found, least] = [number, rank];
  });
  return found;
}

function distance(prompt, x, y) {
  if (!isBox(prompt)) return Math.hypot(prompt.x - x, prompt.y - y);
  const { x0, y0, x1, y1 } = prompt;
  const across = Math.min(Math.abs(x0 - x), Math.abs(x1 - x));
  return Math.hypot(across, Math.min(Math.abs(y0 - y), Math.abs(y1 - y)));
}
