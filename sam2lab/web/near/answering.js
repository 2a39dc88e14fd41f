// Answers clicks before the kernel does: hears them, asks the worker, and paints.
//
// The kernel hears the same clicks, and what it paints stays. Here its layer of the canvas shows
// our answer from a click until the kernel has told that it has heard it.

import { Assistant } from "./assistant.js";
import { listen } from "./gestures.js";
import { withBox, withPoint } from "./placing.js";
import { drawSign } from "./signs.js";
import { boxBetween, pixelAt, shows, toCanvas, toImage } from "./viewport.js";

// The number of the layer with the active object's mask, as widgets/canvas/layers.py has it.
const ACTIVE = 2;

export class Answering {
  // `model` is the widget's, `el` lies in the clicker; `files` are {wasm, graph, info}. `failed` is
  // called with an error of a click.
  static async open(model, el, address, files, failed) {
    const [canvas, manager] = await Promise.all(
      ["canvas", "manager"].map((name) => model.widget_manager.get_model(model.get(name))),
    );
    const worker = new Assistant(address);
    await worker.ask("open", files);
    return new Answering({ model, canvas, manager, worker, failed }, el);
  }

  constructor(parts, el) {
    Object.assign(this, parts);
    this.source = el.closest(".sam2lab-clicker").querySelector(".sam2lab-view");
    this.layer = this.canvas.get("_canvases")[ACTIVE];
    // What the kernel has painted on the layer.
    this.kept = document.createElement("canvas");
    // Clicks that the kernel has not answered yet, and the answer of ours that is shown.
    [this.pending, this.shown, this.corner, this.photo] = [[], null, null, null];
  }

  get question() {
    return this.model.get("question");
  }

  // Answer questions about this photo from now on.
  async look(key, layout, bytes) {
    await this.worker.ask("look", { key, size: this.question.view.photo, layout, bytes });
    this.photo = key;
  }

  start() {
    if (this.ending) return;
    this.ending = new AbortController();
    const { signal } = this.ending;
    const [painted, told] = [() => this.kernelPainted(), () => this.kernelTold()];
    this.layer.on("new-frame", painted);
    this.model.on("change:question", told);
    signal.addEventListener("abort", () => {
      this.layer.off("new-frame", painted);
      this.model.off("change:question", told);
    });
    const size = () => ["height", "width"].map((side) => this.canvas.get(side));
    listen(this.source, size, this, signal);
    this.keep();
  }

  stop() {
    this.ending?.abort();
    this.ending = null;
    this.showKernels();
  }

  close() {
    this.stop();
    this.worker.end();
  }

  // What the user does, as gestures.js tells it.

  clicked(place, isOpposite, stamp) {
    const { view, positive, box, corner, reach } = this.question;
    if (!view || !shows(view, place)) return;
    if (box || corner) {
      this.cornered(place, stamp);
      return;
    }
    const [x, y] = pixelAt(view, place);
    const point = { x, y, positive: positive !== isOpposite };
    this.answer(stamp, (prompts) => withPoint(prompts, point, reach / view.scale));
  }

  cornered(place, stamp) {
    const { view, corner } = this.question;
    const begun = this.corner?.at ?? corner;
    this.corner = begun ? null : { at: toImage(view, place), stamp };
    if (begun) this.dragged(toCanvas(view, begun), place, stamp);
  }

  dragged(start, end, stamp) {
    const { view } = this.question;
    if (!view) return;
    const box = boxBetween(view, start, end);
    this.answer(stamp, (prompts) => withBox(prompts, box));
  }

  async answer(stamp, change) {
    const { key, hidden, view, paint, choice, prompts: before } = this.question;
    if (key !== this.photo || hidden) return;
    const click = { stamp, change };
    this.pending.push(click);
    const prompts = this.pending.reduce((all, each) => each.change(all), before);
    // As in a session, a choice among candidates is for the first prompt.
    const stands = JSON.stringify(prompts[0]) === JSON.stringify(before[0]);
    const asked = { prompts, choice: stands ? choice : null, view, paint };
    try {
      const picture = await this.worker.ask("answer", asked);
      // Only the latest click counts, and only as long as the kernel is behind.
      if (this.pending.at(-1) !== click) return;
      this.shown = { picture, view, prompts };
      this.paint();
    } catch (error) {
      this.failed(error);
    }
  }

  // What the kernel does.

  kernelPainted() {
    this.keep();
    if (this.shown) this.paint();
  }

  kernelTold() {
    const { heard, view } = this.question;
    this.pending = this.pending.filter(({ stamp }) => stamp > heard);
    if (this.corner?.stamp <= heard) this.corner = null;
    const hasMoved = this.shown && JSON.stringify(this.shown.view) !== JSON.stringify(view);
    if (hasMoved || !this.pending.length) this.showKernels();
  }

  // Shows what the kernel has painted, once all that it has sent is painted.
  async showKernels() {
    this.pending = [];
    await this.manager.currentProcessing;
    if (!this.shown || this.pending.length) return;
    this.shown = null;
    this.replace((pen) => pen.drawImage(this.kept, 0, 0));
  }

  keep() {
    const { width, height } = this.layer.canvas;
    Object.assign(this.kept, { width, height });
    if (width && height) this.kept.getContext("2d").drawImage(this.layer.canvas, 0, 0);
  }

  paint() {
    const { picture, view, prompts } = this.shown;
    this.replace((pen) => {
      if (picture) {
        const { rgba, width, height, x, y } = picture;
        pen.putImageData(new ImageData(rgba, width, height), x, y);
      }
      for (const prompt of prompts) drawSign(pen, view, prompt);
    });
  }

  replace(draw) {
    const { canvas, ctx: pen } = this.layer;
    pen.save();
    pen.resetTransform();
    pen.globalAlpha = 1;
    pen.clearRect(0, 0, canvas.width, canvas.height);
    draw(pen);
    pen.restore();
    this.canvas.updateCanvas();
  }
}
