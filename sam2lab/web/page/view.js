// Draws the state: masks and marks on the photo, the lists beside it, and what is said.

import { percent, showCandidates, showObjects } from "./panels.js";
import { activeOf } from "./state.js";
import { tellStatus } from "./telling.js";

const $ = (id) => document.getElementById(id);

export class View {
  // `actions` are what the lists can do, see `showObjects` and `showCandidates`.
  constructor(app, stage, actions) {
    this.app = app;
    this.stage = stage;
    this.actions = actions;
    this.strength = 0.5;
  }

  draw() {
    const { state } = this.app;
    if (this.stage.photo !== state.photo) this.stage.show(state.photo);
    this.drawMasks();
    this.drawMarks();
    this.drawAround();
  }

  // An answer is on its way: what stands around the photo is of before.
  wait() {
    $("objects").setAttribute("aria-busy", "true");
  }

  // What stands around the photo: lists, buttons, words.
  drawAround() {
    const { state } = this.app;
    $("objects").setAttribute("aria-busy", String(this.app.missing().length > 0));
    const active = activeOf(state);
    const answer = active.prompts.length === 1 ? this.app.answerOf(active) : null;
    showCandidates(state.photo, answer, active.colour, this.actions.choose);
    showObjects(state, (each) => this.figures(each), this.actions);
    this.enable();
    this.report();
  }

  drawMasks() {
    const { state, previews } = this.app;
    if (!state) return;
    const active = activeOf(state);
    const layers = state.objects
      .filter((each) => !each.hidden && each.prompts.length)
      .map((each) => ({ ...each, mask: this.app.answerOf(each)?.mask, strength: this.strength }));
    if (!active.prompts.length && previews.mask) {
      const strength = 0.6 * this.strength;
      layers.push({ mask: previews.mask, colour: active.colour, strength });
    }
    this.stage.paint(layers);
  }

  // Points and boxes of the active object; `drawing` is a box that is being drawn.
  drawMarks(drawing = null) {
    if (!this.app.state) return;
    const active = activeOf(this.app.state);
    const prompts = active.hidden ? [] : active.prompts;
    this.stage.mark(prompts, { box: drawing, cross: this.app.cross });
  }

  // Buttons that would do nothing are grey.
  enable() {
    const { state, history } = this.app;
    const hasPrompts = activeOf(state).prompts.length > 0;
    const hasMasks = state.objects.some((each) => this.app.answerOf(each)?.mask);
    const enabled = {
      undo: history.past.length > 0,
      redo: history.future.length > 0,
      clear: hasPrompts,
      new: hasPrompts,
    };
    for (const what of ["mask", "cutout", "labels", "coco"]) enabled[`save-${what}`] = hasMasks;
    for (const [id, is] of Object.entries(enabled)) $(id).disabled = !is;
    const isBegun = state.objects.some((each) => each.prompts.length);
    $("hint").hidden = isBegun || state.photo.encodeMs === undefined;
  }

  // What is known about an object, in a few words.
  figures(object) {
    if (!object.prompts.length) return "click on it";
    const answer = this.app.answerOf(object);
    if (!answer) return "…";
    if (!answer.mask) return "no mask yet";
    const [height, width] = this.app.state.photo.shown;
    const share = answer.area / (height * width);
    const covers = share > 0 && share < 0.01 ? "under 1 %" : percent(share);
    return `score ${percent(answer.candidates[answer.chosen].score)}, ${covers} of the photo`;
  }

  // Say in words what is there.
  report() {
    const { photo } = this.app.state;
    const active = activeOf(this.app.state);
    const answer = active.prompts.length ? this.app.answerOf(active) : null;
    if (!active.prompts.length) {
      const size = `${photo.name}, ${photo.width} × ${photo.height}`;
      tellStatus(photo.encodeMs === undefined ? size : `${size}: ready. Click on something.`);
    } else if (answer && !answer.mask) {
      tellStatus("“Not this” alone says nothing yet: click on the thing, too.");
    } else if (answer) {
      const ms = Math.round(answer.ms);
      tellStatus(`${active.name}: ${this.figures(active)}. Decoded in ${ms} ms.`);
    }
  }
}
