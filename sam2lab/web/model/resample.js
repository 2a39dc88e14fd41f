// torch's two bilinear resizings, with torch's own weights: the twin of runtime/resample.py.
//
// torch rounds the position of every output to float32, so every `Math.fround` here stands where
// torch rounds. Taps say for each of n outputs which input it reads first, and `width` weights from
// there on.

// As `F.interpolate(mode="bilinear", align_corners=False)` does along one axis.
export function interpolated(nIn, nOut) {
  const scale = Math.fround(nIn / nOut);
  const taps = { first: new Int32Array(nOut), weights: new Float32Array(2 * nOut), width: 2 };
  for (let i = 0; i < nOut; i++) {
    const position = Math.max(Math.fround(scale * (i + 0.5) - 0.5), 0);
    const first = Math.min(Math.trunc(position), nIn - 1);
    const second = first < nIn - 1 ? Math.fround(position - first) : 0;
    taps.first[i] = first;
    taps.weights[2 * i] = 1 - second;
    taps.weights[2 * i + 1] = second;
  }
  return taps;
}

// As `F.interpolate(mode="bilinear", antialias=True)` does along one axis.
export function antialiased(nIn, nOut) {
  const scale = Math.fround(nIn / nOut);
  const support = Math.max(scale, 1);
  const inverse = Math.fround(1 / support);
  const width = Math.min(2 * Math.ceil(support) + 1, nIn);
  const taps = { first: new Int32Array(nOut), weights: new Float32Array(width * nOut), width };
  for (let i = 0; i < nOut; i++) {
    const centre = Math.fround(scale * (i + 0.5));
    const first = Math.max(Math.trunc(Math.fround(centre - support) + 0.5), 0);
    const stop = Math.min(Math.trunc(Math.fround(centre + support) + 0.5), nIn);
    const weights = taps.weights.subarray(width * i, width * (i + 1));
    let sum = 0;
    for (let k = 0; k < width && first + k < stop; k++) {
      const distance = Math.fround(first + k - centre) + 0.5;
      weights[k] = Math.max(1 - Math.abs(Math.fround(distance * inverse)), 0);
      sum += weights[k];
    }
    for (let k = 0; k < width; k++) weights[k] /= sum;
    taps.first[i] = first;
  }
  return taps;
}
