// The worker that owns the model, so that the page never waits for it.
//
// It takes {id, verb, ...} and posts {id, result} or {id, error}; meanwhile {id, progress}.

import { Answers } from "./answers.js";
import { clean } from "./clean.js";
import { Decoder } from "./decoder.js";
import { Encoder } from "./encoder.js";
import { areaOf, restoreMask } from "./enlarge.js";
import { bytesOf } from "./fetching.js";
import { preprocess } from "./pixels.js";
import { useProgram } from "./runtime.js";

// Photos whose features stay, so that going back to one costs nothing: 2 MB each with nano.
const PHOTOS_KEPT = 6;

// Pixels of a photo that is read at once, which takes 4 bytes for each.
const READ_AT_ONCE = 4e6;

const photos = new Map();
let [model, encoder, decoder, answers] = [];

// What is done as soon as it is asked for, perhaps before the model is here.
const early = {
  // Read a photo, unless it is known; `bitmap` is all of it.
  encode({ key, bitmap }) {
    const size = [bitmap.height, bitmap.width];
    const { input_size: wanted, mean, std } = model;
    const pixels = photos.has(key) ? null : preprocess(readable(bitmap), wanted, mean, std);
    bitmap.close();
    return { pixels, size };
  },
};

const verbs = {
  // Fetch and open everything; `files` are {wasm, encoder, decoder}, `model` that of bundle.json.
  async open({ files, model: described }, tell) {
    model = described;
    let loaded = 0;
    const fetched = (name) => bytesOf(files[name], (count) => tell({ loaded: (loaded += count) }));
    const [wasm, ...graphs] = ["wasm", "encoder", "decoder"].map(fetched);
    // Each is waited for below; one that fails meanwhile is no error that nobody handles.
    Promise.all(graphs).catch(() => {});
    await useProgram(await wasm);
    encoder = await Encoder.open(await graphs[0], model);
    decoder = await Decoder.open(await graphs[1], model, { isSimple: true });
    answers = new Answers(decoder);
  },

  // Encode a photo under a key, unless it is known.
  async encode({ key, pixels, size }) {
    const started = performance.now();
    if (pixels && !photos.has(key)) {
      photos.set(key, { key, size, features: await encoder.encode(pixels) });
      if (photos.size > PHOTOS_KEPT) photos.delete(photos.keys().next().value);
    }
    return { ms: performance.now() - started };
  },

  // Answer prompts: tell the chosen mask at `size` and all candidates' scores, and give the masks of
  // the candidates at `thumbs`, which the page needs later.
  //
  // Holes and specks of at most `tidy` cells of the logits are mended.
  async answer({ key, prompts, choice, tidy, size, thumbs }, tell) {
    if (!photos.has(key)) return { isForgotten: true };
    const { candidates, chosen, ms } = await answers.get(photos.get(key), prompts, choice);
    const { maskSize } = decoder;
    const tidied = candidates.map(({ logits }) => (tidy ? clean(logits, maskSize, tidy) : logits));
    const mask = candidates.length ? restoreMask(tidied[chosen], maskSize, size) : null;
    const scores = candidates.map(({ score }) => ({ score }));
    const answer = { mask, area: mask && areaOf(mask), candidates: scores, chosen, ms };
    tell(answer, mask ? [mask.bits.buffer] : []);
    return { masks: tidied.map((each) => thumbs && restoreMask(each, maskSize, thumbs)) };
  },
};

// A bitmap whose pixels can be read. Where they are many, they are read a few rows at a time: some
// browsers refuse a canvas as large as the photo.
function readable(bitmap) {
  const { width, height } = bitmap;
  const read = (start, stop) => {
    const band = new OffscreenCanvas(width, stop - start);
    const pen = band.getContext("2d", { willReadFrequently: true });
    pen.drawImage(bitmap, 0, -start);
    return pen.getImageData(0, 0, width, stop - start).data;
  };
  if (width * height > READ_AT_ONCE) return { width, height, rows: read };
  const all = read(0, height);
  const rows = (start, stop) => all.subarray(4 * width * start, 4 * width * stop);
  return { width, height, rows };
}

// `turn` comes when all that was asked before is done.
async function handle({ id, verb, ...rest }, turn) {
  try {
    const given = { ...rest, ...early[verb]?.(rest) };
    await turn;
    const tell = (progress, transfer) => postMessage({ id, progress }, transfer);
    const result = await verbs[verb](given, tell);
    postMessage({ id, result });
  } catch (error) {
    postMessage({ id, error: String(error?.message ?? error) });
  }
}

// One after the other, in the order in which they came.
let last = Promise.resolve();
self.onmessage = ({ data }) => {
  const turn = last;
  last = handle(data, turn).then(() => turn);
};
