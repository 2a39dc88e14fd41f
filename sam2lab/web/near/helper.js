// The worker that answers clicks, so that the page never waits for it.
//
// It takes {id, verb, ...} and posts {id, result} or {id, error}.

import { Answers } from "../model/answers.js";
import { Decoder } from "../model/decoder.js";
import { useProgram } from "../model/runtime.js";
import { floats } from "./halves.js";
import { painted } from "./picture.js";

let [decoder, answers, photo] = [];

const verbs = {
  async open({ wasm, graph, info }) {
    await useProgram(wasm);
    decoder = await Decoder.open(new Uint8Array(graph), info);
    answers = new Answers(decoder);
  },

  // Answer questions about this photo from now on. `layout` is {name: shape}, in the order in
  // which the features come.
  look({ key, size, bytes, layout }) {
    let start = 0;
    const features = {};
    for (const [name, shape] of Object.entries(layout)) {
      const stop = start + shape.reduce((a, b) => a * b);
      features[name] = [floats(new Uint16Array(bytes).subarray(start, stop)), shape];
      start = stop;
    }
    photo = { key, size, features };
  },

  // Paint the answer to prompts, null if it has no mask in sight.
  async answer({ prompts, choice, view, paint }) {
    const { candidates, chosen } = await answers.get(photo, prompts, choice);
    if (!candidates.length) return null;
    return painted(candidates[chosen].logits, decoder.maskSize, view, paint);
  },
};

// One after the other, in the order in which they came.
let last = Promise.resolve();
self.onmessage = ({ data: { id, verb, ...rest } }) => {
  last = last
    .then(() => verbs[verb](rest))
    .then(
      (result) => postMessage({ id, result }, result?.rgba ? [result.rgba.buffer] : []),
      (error) => postMessage({ id, error: String(error?.message ?? error) }),
    );
};
