// What a click would give, under the mouse: asked for one place at a time, always the latest.

export class Previews {
  constructor(app) {
    this.app = app;
    this.isOn = true;
    this.place = null;
    this.isAsking = false;
    this.mask = null;
  }

  // The mouse is here, or nowhere.
  async hover(place) {
    const same = place?.x === this.place?.x && place?.y === this.place?.y;
    this.place = this.isWanted() ? place : null;
    if (!this.place) return this.show(null);
    if (same || this.isAsking) return;
    this.isAsking = true;
    try {
      for (let done = null; this.place && done !== this.place; ) {
        done = this.place;
        const object = { prompts: [{ ...done, positive: true }], choice: null };
        const { photo } = this.app.state;
        const answer = this.app.answerOf(object) ?? (await this.app.asking.ask(photo, object));
        this.show(this.place && this.isWanted() ? answer.mask : null);
      }
    } catch {
      // A click there will say what is wrong.
      this.show(null);
    } finally {
      this.isAsking = false;
    }
  }

  // Only before the first prompt of an object: later, the mask itself is what one looks at.
  isWanted() {
    const { state, active, tool } = this.app;
    const isReady = state && state.photo.encodeMs !== undefined;
    return this.isOn && tool !== "remove" && isReady && !active.prompts.length;
  }

  show(mask) {
    if (mask === this.mask) return;
    this.mask = mask;
    this.app.view.drawMasks();
  }
}
