// Fills small holes and drops small specks of logits: the twin of `clean` in runtime/postprocess.py.

// How far beyond the threshold upstream pushes a filled hole or a dropped speck.
const MARGIN = 10;

// Logits (h x w) without holes and specks of at most `maxArea` cells, whose cells touch by side or
// corner. Specks are looked for in the logits as they came, so filling a hole never saves one.
export function clean(logits, [h, w], maxArea) {
  const cleaned = logits.slice();
  for (const [isPart, value] of [
    [(logit) => logit <= 0, MARGIN],
    [(logit) => logit > 0, -MARGIN],
  ]) {
    for (const cells of components(logits, h, w, isPart)) {
      if (cells.length <= maxArea) for (const cell of cells) cleaned[cell] = value;
    }
  }
  return cleaned;
}

// The cells of each connected part.
function components(logits, h, w, isPart) {
  const seen = new Uint8Array(h * w);
  const found = [];
  for (let first = 0; first < h * w; first++) {
    if (seen[first] || !isPart(logits[first])) continue;
    const cells = [first];
    seen[first] = 1;
    for (let next = 0; next < cells.length; next++) {
      const [y, x] = [Math.floor(cells[next] / w), cells[next] % w];
      for (let v = Math.max(y - 1, 0); v <= Math.min(y + 1, h - 1); v++) {
        for (let u = Math.max(x - 1, 0); u <= Math.min(x + 1, w - 1); u++) {
          const cell = v * w + u;
          if (seen[cell] || !isPart(logits[cell])) continue;
          seen[cell] = 1;
          cells.push(cell);
        }
      }
    }
    found.push(cells);
  }
  return found;
}
