// Numbers of 16 bits, in which features travel.

// Half-precision floats, given as integers of the same bits, as floats.
export function floats(halves) {
  return Float32Array.from(halves, float);
}

function float(half) {
  const sign = half & 0x8000 ? -1 : 1;
  const [exponent, fraction] = [(half >> 10) & 0x1f, half & 0x3ff];
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
