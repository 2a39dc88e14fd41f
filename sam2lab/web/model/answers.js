// Answers to an object's prompts, as the clicker's session gives them: the twin of `Answers` in
// widgets/session/answers.py.
//
// Prompts are answered in a chain: the first alone, then the first two with the logits of that
// answer, and so on, so that an answer depends on the prompts alone, not on what was undone.

import { bestOf, choose } from "./choose.js";
import { encodePrompts, isBox } from "./prompts.js";

const LOGIT_LIMIT = 32;
const KEPT = 200;

const NOTHING = { candidates: [], chosen: 0, ms: 0 };

export class Answers {
  // `decoder` is a `Decoder`, or anything with its `decode` and its `model`.
  constructor(decoder) {
    this.decoder = decoder;
    this.kept = new Map();
  }

  // {candidates: [{logits, score}], chosen, ms} for the prompts of one object; `ms` is how long the
  // decoder took when these were first asked.
  //
  // `photo` is {key, size: [height, width], features}; its key says which photo it is. A single
  // click gets three candidates, a box or several prompts get one, negative clicks alone get none.
  // `choice` is the number of the candidate that the user chose for the first prompt, or null.
  async get(photo, prompts, choice = null) {
    let [known, answer] = [0, NOTHING];
    const key = (count) => JSON.stringify([photo.key, count > 1 && choice, prompts.slice(0, count)]);
    for (let count = prompts.length; count > 0 && known === 0; count--) {
      if (!this.kept.has(key(count))) continue;
      known = count;
      answer = choosing(this.kept.get(key(count)), count === 1 ? choice : null);
    }
    for (let count = known + 1; count <= prompts.length; count++) {
      const given = await this.decode(photo, prompts.slice(0, count), answer);
      this.keep(key(count), given);
      answer = choosing(given, count === 1 ? choice : null);
    }
    return answer;
  }

  // Answer `prompts`, given the answer to all of them except the last.
  async decode(photo, prompts, before) {
    const hasBox = prompts.some(isBox);
    if (!hasBox && !prompts.some((prompt) => prompt.positive)) return NOTHING;
    const started = performance.now();
    const encoded = encodePrompts(prompts, photo.size, this.decoder.model.input_size);
    const mask = before.candidates[before.chosen]?.logits;
    const decoded = await this.decoder.decode(photo.features, encoded, mask && clamped(mask));
    const candidates = choose(decoded, prompts.length === 1 && !hasBox);
    return { candidates, chosen: bestOf(candidates), ms: performance.now() - started };
  }

  keep(key, answer) {
    this.kept.set(key, answer);
    if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value);
  }
}

function choosing(answer, choice) {
  const isThere = choice !== null && choice < answer.candidates.length;
  return isThere ? { ...answer, chosen: choice } : answer;
}

function clamped(logits) {
  return logits.map((value) => Math.min(Math.max(value, -LOGIT_LIMIT), LOGIT_LIMIT));
}
