// Asks the worker, and keeps what it answered.

import { thumbSize } from "./panels.js";

// Masks that stay besides those of the objects, so that undo shows them at once.
const ANSWERS_KEPT = 40;

export class Asking {
  // `heard(key)` is called when the mask of an answer is here, and those to choose from are not.
  constructor(engine, heard) {
    [this.engine, this.heard] = [engine, heard];
    [this.answers, this.asked] = [new Map(), new Map()];
    this.encodings = new Map();
    this.opened = null;
    // How many objects there are.
    this.objects = 0;
    // The largest holes and specks that are mended, in cells of the model's logits.
    this.tidy = 0;
  }

  // Open the model; `tell(bytes)` hears how many bytes are here.
  load(settings, files, tell) {
    const hear = { tell: ({ loaded }) => tell(loaded) };
    this.opened = this.engine.ask("open", { files, model: settings.model }, hear);
    return this.opened;
  }

  // Let the model see a photo, once.
  encode(photo) {
    if (!this.encodings.has(photo.key)) {
      const encoding = this.encodeNow(photo);
      this.encodings.set(photo.key, encoding);
      encoding.catch(() => this.encodings.delete(photo.key));
    }
    return this.encodings.get(photo.key);
  }

  async encodeNow(photo) {
    const bitmap = await photo.bitmap();
    const given = { key: photo.key, bitmap };
    const { ms } = await this.engine.ask("encode", given, { transfer: [bitmap] });
    photo.encodeMs = ms;
  }

  // The mask of an object as the photo is shown, with its candidates; what is asked already is not
  // asked again.
  ask(photo, object) {
    const name = this.key(photo, object);
    if (!this.asked.has(name)) {
      const sizes = { size: photo.shown, thumbs: thumbSize(photo) };
      const keep = (answer) => {
        this.answers.set(name, answer);
        this.forget();
        return answer;
      };
      const hear = (answer) => {
        keep(answer);
        this.heard(name);
      };
      const asking = this.question(photo, object, sizes, hear).then(keep);
      this.asked.set(name, asking);
      asking.catch(() => {}).then(() => this.asked.delete(name));
    }
    return this.asked.get(name);
  }

  // What was asked before, or undefined.
  known(photo, object) {
    const name = this.key(photo, object);
    const answer = this.answers.get(name);
    // What is looked at goes last.
    if (answer && this.answers.delete(name)) this.answers.set(name, answer);
    return answer;
  }

  forget() {
    const [oldest] = this.answers.keys();
    if (this.answers.size > ANSWERS_KEPT + this.objects) this.answers.delete(oldest);
  }

  key(photo, { prompts, choice }) {
    return JSON.stringify([photo.key, prompts, choice, this.tidy]);
  }

  // All objects that have a mask, with it at the photo's own size, as saving.js takes them.
  async whole({ photo, objects }) {
    const found = [];
    for (const object of objects.filter((each) => each.prompts.length)) {
      const sizes = { size: photo.size, thumbs: null };
      const { mask, candidates, chosen } = await this.question(photo, object, sizes);
      if (!mask?.bits.includes(1)) continue;
      const { id, name, colour } = object;
      found.push({ id, number: found.length + 1, name, colour, mask, score: candidates[chosen].score });
    }
    return found;
  }

  // `hear` is called with the answer as soon as its mask is here.
  async question(photo, { prompts, choice }, sizes, hear = () => {}) {
    const asked = { key: photo.key, prompts, choice, tidy: this.tidy, ...sizes };
    let answer;
    const told = { tell: (given) => hear((answer = given)) };
    let rest = await this.engine.ask("answer", asked, told);
    if (rest.isForgotten) {
      // The worker keeps a few photos only.
      this.encodings.delete(photo.key);
      await this.encode(photo);
      rest = await this.engine.ask("answer", asked, told);
    }
    const candidates = answer.candidates.map((each, n) => ({ ...each, mask: rest.masks[n] }));
    return { ...answer, candidates, isWhole: true };
  }
}
