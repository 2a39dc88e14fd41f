// Mouse, finger and pen on the photo: clicks, boxes, and where the mouse is.

// A mouse that moved less than this, in pixels of the window, has clicked.
const STILL = 5;

// `actions` has point(place, positive), expect(place, positive) for a click that seems to begin,
// box(corners), drawing(corners or null), hover(place or null), and tool(), which is "add", "remove"
// or "box".
export function listen(stage, actions) {
  const { element } = stage;
  let from = null;

  element.addEventListener("pointerdown", (event) => {
    if (!stage.photo || !event.isPrimary || event.button === 1) return;
    const place = stage.at(event);
    if (!stage.has(place)) return;
    from = { event, place };
    if (canDraw(event)) element.setPointerCapture(event.pointerId);
    // A finger may be about to scroll.
    if (event.pointerType === "mouse" && actions.tool() !== "box") {
      actions.expect(place, isPositive(event));
    }
  });

  element.addEventListener("pointermove", (event) => {
    if (!from) {
      const place = stage.photo && stage.at(event);
      if (event.pointerType === "mouse") actions.hover(place && stage.has(place) ? place : null);
    } else if (canDraw(from.event) && hasMoved(event)) {
      actions.hover(null);
      actions.drawing(corners(event));
    }
  });

  element.addEventListener("pointerup", (event) => {
    if (!from) return;
    const { event: began, place } = from;
    const isBox = canDraw(began) && hasMoved(event);
    const drawn = isBox && corners(event);
    from = null;
    actions.drawing(null);
    if (isBox) actions.box(drawn);
    // A finger that moved has scrolled.
    else if (began.pointerType === "mouse" || Math.hypot(...moved(began, event)) < 3 * STILL) {
      actions.point(place, isPositive(began));
    }
  });

  for (const end of ["pointercancel", "lostpointercapture"]) {
    element.addEventListener(end, () => {
      if (from) actions.drawing(null);
      from = null;
    });
  }
  element.addEventListener("pointerleave", () => actions.hover(null));
  element.addEventListener("contextmenu", (event) => event.preventDefault());

  // A mouse draws at any time; a finger scrolls the page unless boxes are to be drawn.
  function canDraw({ pointerType, button }) {
    return button === 0 && (pointerType === "mouse" || actions.tool() === "box");
  }

  function isPositive({ button, shiftKey }) {
    const isOther = button === 2 || shiftKey;
    return (actions.tool() !== "remove") !== isOther;
  }

  function hasMoved(event) {
    return Math.max(...moved(from.event, event).map(Math.abs)) >= STILL;
  }

  // Right and bottom are the first column and row outside.
  function corners(event) {
    const [a, b] = [from.place, stage.at(event)];
    const inside = (value, side) => Math.min(Math.max(value, 0), side);
    const { width, height } = stage.photo;
    return {
      x0: inside(Math.min(a.x, b.x), width),
      y0: inside(Math.min(a.y, b.y), height),
      x1: inside(Math.max(a.x, b.x) + 1, width),
      y1: inside(Math.max(a.y, b.y) + 1, height),
    };
  }
}

function moved(began, event) {
  return [event.clientX - began.clientX, event.clientY - began.clientY];
}
