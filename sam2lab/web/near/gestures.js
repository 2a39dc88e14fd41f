// Turns the browser's events into clicks and boxes: the twin of widgets/canvas/pointer.py.

const STILL_PX = 4;
const [LEFT, MIDDLE, RIGHT] = [0, 1, 2];

// Call `clicked(place, opposite, stamp)` and `dragged(start, end, stamp)` of `gestures`.
//
// Places are [x, y] on a canvas of `size()`, [height, width], over which `source` lies exactly.
// The stamp is that of the event that ends a gesture; the kernel hears the same event.
export function listen(source, size, gestures, signal) {
  let press = null;

  const placeOf = ({ clientX, clientY }) => {
    const box = source.getBoundingClientRect();
    const [height, width] = size();
    const across = (clientX + 0.5 - box.left) / (box.width || 1);
    return [across * width, ((clientY + 0.5 - box.top) / (box.height || 1)) * height];
  };

  const follow = (place) => {
    const perCss = size()[1] / (source.getBoundingClientRect().width || 1);
    const [across, down] = place.map((side, i) => Math.abs(side - press.start[i]) / perCss);
    press.hasMoved ||= Math.max(across, down) >= STILL_PX;
  };

  const release = (event) => {
    if (!press) return;
    const place = placeOf(event);
    follow(place);
    const { start, button, pans, hasMoved } = press;
    press = null;
    if (!hasMoved && button !== MIDDLE) {
      const isOpposite = button === RIGHT || event.ctrlKey || event.shiftKey;
      gestures.clicked(start, isOpposite, event.timeStamp);
    } else if (hasMoved && button === LEFT && !pans) {
      gestures.dragged(start, place, event.timeStamp);
    }
  };

  const handlers = {
    mousedown(event) {
      const { button, altKey, ctrlKey, metaKey } = event;
      press = { start: placeOf(event), button, pans: altKey || ctrlKey || metaKey };
    },
    mousemove(event) {
      if (!press) return;
      if (event.buttons) follow(placeOf(event));
      else release(event);
    },
    mouseup: release,
    mouseleave(event) {
      if (press?.hasMoved) release(event);
      press = null;
    },
  };
  for (const [name, handle] of Object.entries(handlers)) {
    source.addEventListener(name, handle, { signal, capture: true });
  }
}
