// Keys: everywhere on the page, and with the photo in focus for pointing without a mouse.

// `actions` has a function for each name below, and cross(dx, dy), point(positive).
export function listen(stage, actions) {
  const keys = {
    a: () => actions.tool("add"),
    r: () => actions.tool("remove"),
    b: () => actions.tool("box"),
    n: actions.begin,
    s: actions.save,
    o: actions.open,
    Delete: actions.clear,
    Backspace: actions.clear,
    "?": actions.help,
    "[": () => actions.opacity(-10),
    "]": () => actions.opacity(10),
    "+": actions.zoomIn,
    "=": actions.zoomIn,
    "-": actions.zoomOut,
    0: actions.zoomReset,
    1: () => actions.choose(0),
    2: () => actions.choose(1),
    3: () => actions.choose(2),
  };
  const ARROWS = {
    ArrowLeft: [-1, 0],
    ArrowRight: [1, 0],
    ArrowUp: [0, -1],
    ArrowDown: [0, 1],
  };

  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    if (event.ctrlKey || event.metaKey) return withControl(event);
    if (event.altKey || isTyping(event.target)) return;
    const arrow = ARROWS[event.key];
    if (arrow || event.key === "Enter") {
      if (event.target !== stage.element) return;
      const step = event.shiftKey ? 20 : 2;
      if (arrow) actions.cross(arrow[0] * step, arrow[1] * step);
      else actions.point(!event.shiftKey);
    } else {
      const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (!action) return;
      action();
    }
    event.preventDefault();
  });

  function withControl(event) {
    const key = event.key.toLowerCase();
    if (key !== "z" && key !== "y") return;
    if (isTyping(event.target)) return;
    if (key === "y" || event.shiftKey) actions.redo();
    else actions.undo();
    event.preventDefault();
  }
}

// Whether keys belong to what is in focus.
function isTyping(target) {
  return target.matches("input:not([type=checkbox], [type=range]), textarea, select");
}
