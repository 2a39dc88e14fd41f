// Clicks and boxes as the arrays that a decoder takes: the twin of runtime/prompts.py.

const TOP_LEFT = 2;
const BOTTOM_RIGHT = 3;

// `prompts` are {x, y, positive} or {x0, y0, x1, y1} in pixels of a photo of `[height, width]`.
//
// Gives coords (P x 2) in pixels of the model's input, and labels (P); corners of boxes come first.
export function encodePrompts(prompts, [height, width], [modelHeight, modelWidth]) {
  const corners = prompts.filter(isBox).flatMap((box) => [
    [Math.min(box.x0, box.x1), Math.min(box.y0, box.y1), TOP_LEFT],
    [Math.max(box.x0, box.x1), Math.max(box.y0, box.y1), BOTTOM_RIGHT],
  ]);
  const points = prompts.filter((each) => !isBox(each)).map((p) => [p.x, p.y, p.positive ? 1 : 0]);
  const all = [...corners, ...points];
  if (!all.flat().every(Number.isFinite)) throw new Error("A prompt holds what is no number.");
  // The original divides, then multiplies, in float32.
  const scaled = (value, side, modelSide) => Math.fround(Math.fround(value) / side) * modelSide;
  return {
    coords: Float32Array.from(
      all.flatMap(([x, y]) => [scaled(x, width, modelWidth), scaled(y, height, modelHeight)]),
    ),
    labels: Float32Array.from(all.map(([, , label]) => label)),
  };
}

export function isBox(prompt) {
  return "x0" in prompt;
}
