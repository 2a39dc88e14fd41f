// Where the photo lies on the canvas: the twin of widgets/canvas/viewport.py.
//
// A view is {photo: [height, width], canvas: [height, width], scale, left, top}.

export function toImage({ scale, left, top }, [x, y]) {
  return [x / scale + left, y / scale + top];
}

export function toCanvas({ scale, left, top }, [x, y]) {
  return [(x - left) * scale, (y - top) * scale];
}

export function shows(view, place) {
  const [x, y] = toImage(view, place);
  return 0 <= x && x < view.photo[1] && 0 <= y && y < view.photo[0];
}

// The photo's pixel under a place on the canvas, or the nearest.
export function pixelAt(view, place) {
  const [x, y] = toImage(view, place).map(Math.floor);
  const within = (value, side) => Math.min(Math.max(value, 0), side - 1);
  return [within(x, view.photo[1]), within(y, view.photo[0])];
}

// The whole photo pixels between two corners on the canvas.
export function boxBetween(view, a, b) {
  const [x0, y0] = pixelAt(view, [Math.min(a[0], b[0]), Math.min(a[1], b[1])]);
  const [x1, y1] = pixelAt(view, [Math.max(a[0], b[0]), Math.max(a[1], b[1])]);
  return { x0, y0, x1: x1 + 1, y1: y1 + 1 };
}
