// What is on the photo, as a state that is never changed, and undo and redo over such states: the
// twin of widgets/session/objects.py.

// Colours that eyes with and without colour vision deficiencies tell apart: Okabe and Ito's palette
// without black, then colours of Paul Tol's schemes.
export const PALETTE = [
  ...["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#332288"],
  ...["#882255", "#ffaabb", "#99ddff", "#117733", "#999933"],
];

// A photo with nothing on it: one object, which is active and empty.
export function freshState(photo) {
  return begun({ photo, objects: [], active: 0, nextId: 1 });
}

export function activeOf(state) {
  return state.objects.find((object) => object.id === state.active);
}

// Append an empty object and make it active; any other empty one goes.
export function begun(state) {
  const kept = state.objects.filter((object) => object.prompts.length);
  const uses = (colour) => kept.filter((object) => object.colour === colour).length;
  const colour = PALETTE.reduce((best, each) => (uses(each) < uses(best) ? each : best));
  const id = state.nextId;
  const object = { id, name: `object ${id}`, colour, prompts: [], choice: null, hidden: false };
  return { ...state, objects: [...kept, object], active: id, nextId: id + 1 };
}

// Change fields of one object, by default the active one.
export function changed(state, fields, id = state.active) {
  const objects = state.objects.map((each) => (each.id === id ? { ...each, ...fields } : each));
  return { ...state, objects };
}

// Replace the active object's prompts; the choice stays while the first prompt does.
export function prompted(state, prompts) {
  const before = activeOf(state);
  const stands = prompts.length > 0 && prompts[0] === before.prompts[0];
  return changed(state, { prompts, choice: stands ? before.choice : null });
}

// Add a point or a box to the active object; a box takes the place of the one that is there.
export function added(state, prompt) {
  const { prompts } = activeOf(state);
  const kept = "x0" in prompt ? prompts.filter((each) => !("x0" in each)) : prompts;
  return prompted(state, [...kept, prompt]);
}

// The number of the active object's prompt within `radius` of a place, or -1: points before boxes,
// the nearest, and of equally near ones the latest, which is drawn on top.
export function promptAt(state, { x, y }, radius) {
  const distance = (prompt) => {
    if (!("x0" in prompt)) return Math.hypot(prompt.x - x, prompt.y - y);
    const across = Math.min(Math.abs(prompt.x0 - x), Math.abs(prompt.x1 - x));
    return Math.hypot(across, Math.min(Math.abs(prompt.y0 - y), Math.abs(prompt.y1 - y)));
  };
  const near = activeOf(state)
    .prompts.map((prompt, at) => ({ at, isBox: "x0" in prompt, far: distance(prompt) }))
    .filter(({ far }) => far <= radius)
    .sort((a, b) => a.isBox - b.isBox || a.far - b.far || b.at - a.at);
  return near.length ? near[0].at : -1;
}

// Make another object active; the one before goes if it is empty.
export function selected(state, id) {
  const objects = state.objects.filter((each) => each.prompts.length || each.id === id);
  return { ...state, objects, active: id };
}

export function deleted(state, id) {
  const left = { ...state, objects: state.objects.filter((each) => each.id !== id) };
  return id === state.active ? begun(left) : left;
}

// Undo and redo without limit. States share what they have in common.
export class History {
  past = [];
  future = [];
  present = null;

  do(state) {
    if (this.present) this.past.push(this.present);
    this.present = state;
    this.future = [];
  }

  undo() {
    if (!this.past.length) return;
    this.future.push(this.present);
    this.present = this.past.pop();
  }

  redo() {
    if (!this.future.length) return;
    this.past.push(this.present);
    this.present = this.future.pop();
  }
}
