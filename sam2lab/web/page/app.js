// The page's one state, and what changes it.

import { Asking } from "./asking.js";
import { readPhoto } from "./pictures.js";
import { Previews } from "./previews.js";
import * as saving from "./saving.js";
import * as states from "./state.js";
import { tellError, tellProgress } from "./telling.js";
import { View } from "./view.js";

// How near to a mark a click must be to take it away, in pixels of the window.
const NEAR = 10;

// How long a screen takes to show what was drawn.
const FRAME_MS = 17;

export class App {
  constructor(engine, stage) {
    this.stage = stage;
    this.asking = new Asking(engine, (key) => this.heard(key));
    this.history = new states.History();
    this.previews = new Previews(this);
    this.view = new View(this, stage, {
      choose: (number) => this.choose(number),
      select: (id) => id !== this.state.active && this.do(states.selected(this.state, id)),
      remove: (id) => this.do(states.deleted(this.state, id)),
      change: (id, fields) => this.do(states.changed(this.state, fields, id)),
    });
    this.tool = "add";
    // Where the keyboard points, or null.
    this.cross = null;
    // Refreshes so far, and photos that are being encoded.
    [this.turn, this.looking] = [0, 0];
  }

  get state() {
    return this.history.present;
  }

  get active() {
    return this.state && states.activeOf(this.state);
  }

  answerOf(object) {
    return this.asking.known(this.state.photo, object);
  }

  // Open the model.
  async load(settings, files) {
    const total = Object.values(settings.sizes).reduce((sum, size) => sum + size);
    const tell = (loaded) => {
      const [here, all] = [loaded, total].map((bytes) => (bytes / 1e6).toFixed(1));
      if (loaded < total) tellProgress(`Loading the model: ${here} of ${all} MB`, loaded / total);
      else tellProgress("Opening the model");
    };
    tell(0);
    await this.asking.load(settings, files, tell);
  }

  // Open a photo; what was on the one before is a step back.
  async open(blob, name) {
    const photo = await readPhoto(blob, name);
    this.cross = null;
    this.do(states.freshState(photo));
  }

  do(state) {
    this.history.do(state);
    return this.refresh();
  }

  undo() {
    this.history.undo();
    return this.refresh();
  }

  redo() {
    this.history.redo();
    return this.refresh();
  }

  // Show the state, and ask for the masks that are missing, the active object's first.
  async refresh() {
    if (!this.state) return;
    const turn = ++this.turn;
    const { photo, objects } = this.state;
    this.asking.objects = objects.length;
    tellError(null);
    this.previews.hover(null);
    const [first] = this.missing();
    const isWaiting = first && photo.encodeMs !== undefined && this.stage.photo === photo;
    if (isWaiting) {
      // All that is drawn before the answer delays it: on two busy cores the decoder took 37 ms
      // while the lists and masks were drawn, and 24 while nothing was (the quickest of 33 each).
      this.asking.ask(photo, first).catch(() => {});
      this.view.drawMarks();
      this.view.wait();
    } else {
      this.view.draw();
    }
    try {
      if (photo.encodeMs === undefined) await this.encode(photo);
      for (const object of this.missing()) {
        if (turn !== this.turn) return;
        await this.asking.ask(photo, object);
        if (turn !== this.turn) return;
        // The lists can wait until the mask is on the screen.
        await new Promise((resolve) => setTimeout(resolve, FRAME_MS));
        if (turn === this.turn) this.view.drawAround();
      }
    } catch (error) {
      if (turn !== this.turn) return;
      this.view.draw();
      tellError(error);
    }
  }

  // The mask of an answer is here.
  heard(key) {
    const { photo, objects } = this.state;
    if (objects.some((each) => this.asking.key(photo, each) === key)) this.view.drawMasks();
  }

  // The objects that have prompts and no whole answer yet, the active one first.
  missing() {
    const others = this.state.objects.filter((each) => each !== this.active);
    const hasNone = (each) => each.prompts.length && !this.answerOf(each)?.isWhole;
    return [this.active, ...others].filter(hasNone);
  }

  async encode(photo) {
    const encoding = this.asking.encode(photo);
    await this.asking.opened;
    tellProgress("The model looks at the photo");
    this.looking++;
    try {
      await encoding;
    } finally {
      // Another photo may have been opened meanwhile.
      if (--this.looking === 0) tellProgress(null);
    }
    this.view.draw();
    performance.mark("photo ready");
  }

  // What a click means: "add", "remove" or "box".
  use(tool) {
    this.tool = tool;
    for (const each of ["add", "remove", "box"]) {
      document.getElementById(`tool-${each}`).setAttribute("aria-pressed", each === tool);
    }
    this.stage.element.dataset.tool = tool;
    this.previews.hover(null);
  }

  // A click on a prompt takes it away; elsewhere it adds one.
  point(place, positive) {
    return this.do(this.pointed(place, positive));
  }

  pointed(place, positive) {
    const at = states.promptAt(this.state, place, NEAR * this.stage.scale());
    if (at < 0) return states.added(this.state, { ...place, positive });
    const left = this.active.prompts.filter((_, number) => number !== at);
    return states.prompted(this.state, left);
  }

  // A button went down here. Most likely it is a click: a hand takes 80 ms or so to let go, in which
  // the answer can come.
  expect(place, positive) {
    const { photo } = this.state;
    if (photo.encodeMs === undefined) return;
    const object = states.activeOf(this.pointed(place, positive));
    if (object.prompts.length && !this.answerOf(object)) {
      this.asking.ask(photo, object).catch(() => {});
    }
  }

  box(corners) {
    if (this.tool === "box") this.use("add");
    return this.do(states.added(this.state, corners));
  }

  clear() {
    if (this.active?.prompts.length) this.do(states.prompted(this.state, []));
  }

  begin() {
    if (this.active?.prompts.length) this.do(states.begun(this.state));
  }

  // Choose one of the answers to a single click.
  choose(number) {
    const count = this.active?.prompts.length === 1 && this.answerOf(this.active)?.candidates.length;
    if (count && number < count) this.do(states.changed(this.state, { choice: number }));
  }

  // Move the cross, by pixels of the window.
  move(dx, dy) {
    if (!this.state) return;
    const { width, height } = this.state.photo;
    const from = this.cross ?? { x: Math.floor(width / 2), y: Math.floor(height / 2) };
    const moved = (value, step, side) => {
      const pixels = Math.sign(step) * Math.ceil(Math.abs(step) * this.stage.scale());
      return Math.min(Math.max(value + pixels, 0), side - 1);
    };
    this.cross = { x: moved(from.x, dx, width), y: moved(from.y, dy, height) };
    this.view.drawMarks();
    this.previews.hover(this.cross);
  }

  // Save "mask" or "cutout" of the active object, or else of the last; "labels" or "coco" of all.
  async save(what) {
    if (!this.state) return;
    const { photo, objects } = this.state;
    try {
      const all = await this.asking.whole({ photo, objects });
      const one = all.find((each) => each.id === this.state.active) ?? all.at(-1);
      if (!one) throw new Error("There is no mask yet. Click on something first.");
      const make = {
        mask: () => saving.maskFile(photo, one),
        cutout: () => saving.cutoutFile(photo, one),
        labels: () => saving.labelsFile(photo, all),
        coco: () => saving.cocoFile(photo, all),
      };
      saving.save(await make[what]());
    } catch (error) {
      tellError(error);
    }
  }
}
