// Picks among a decoder's four masks as upstream does: the twin of runtime/postprocess.py.

// `build_sam2` switches this rule on with these two figures for every single-mask answer.
const STABILITY_DELTA = Math.fround(0.05);
const STABILITY_THRESHOLD = Math.fround(0.98);

// The three candidates, or the one mask that upstream answers, as [{logits, score}].
//
// `decoded.logits` and `decoded.scores` are of all four: the single mask, then the candidates.
export function choose(decoded, many) {
  const all = decoded.logits.map((logits, token) => ({ logits, score: decoded.scores[token] }));
  const [single, ...candidates] = all;
  if (many) return candidates;
  return [isStable(single.logits) ? single : candidates[bestOf(candidates)]];
}

// The number of the candidate with the best score, the first of equal ones.
export function bestOf(candidates) {
  let best = 0;
  candidates.forEach((each, number) => {
    if (each.score > candidates[best].score) best = number;
  });
  return best;
}

// Whether moving the threshold either way changes little of the mask; an empty one is stable.
function isStable(logits) {
  let [inner, outer] = [0, 0];
  for (const value of logits) {
    if (value > STABILITY_DELTA) inner++;
    if (value > -STABILITY_DELTA) outer++;
  }
  return outer === 0 || Math.fround(inner / outer) >= STABILITY_THRESHOLD;
}
