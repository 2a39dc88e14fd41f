// The decoder of a bundle: features and prompts to four masks, with their scores.

import { openSession, run } from "./runtime.js";

const OUTPUTS = ["masks", "iou_predictions", "single_mask", "single_iou"];

export class Decoder {
  // `model` is the section of that name in bundle.json; `isSimple` says that the graph was
  // simplified by onnxruntime before.
  static async open(bytes, model, { isSimple = false } = {}) {
    // In 8 bits, operators are joined that are slow apart.
    const level = model.precision !== "float" ? "all" : isSimple ? "disabled" : "basic";
    return new Decoder(await openSession(bytes, level), model);
  }

  constructor(session, model) {
    this.session = session;
    this.model = model;
    // Logits have four cells for each of the embedding's, along either side.
    this.maskSize = model.input_size.map((side) => (4 * side) / model.stride);
  }

  // Answer one object's prompts, as `encodePrompts` gives them.
  //
  // `features` are {name: [floats, shape]} of one photo: image_embed, high_res_feats_0 and
  // high_res_feats_1, from this page's encoder or from anywhere else. `mask` (h x w floats) are
  // logits of an earlier answer, or null. Gives {logits: [4 x (h x w floats)], scores: [4]}: the
  // single mask, then the three candidates, neither clamped nor thresholded.
  async decode(features, { coords, labels }, mask = null) {
    const [h, w] = this.maskSize;
    const inputs = {
      ...features,
      point_coords: [coords, [1, labels.length, 2]],
      point_labels: [labels, [1, labels.length]],
      mask_input: [mask ?? new Float32Array(h * w), [1, 1, h, w]],
      has_mask_input: [Float32Array.of(mask ? 1 : 0), [1]],
    };
    const given = await run(this.session, inputs, OUTPUTS);
    const [masks] = given.masks;
    const candidates = [0, 1, 2].map((n) => masks.slice(n * h * w, (n + 1) * h * w));
    return {
      logits: [given.single_mask[0].slice(), ...candidates],
      scores: [given.single_iou[0][0], ...given.iou_predictions[0]],
    };
  }
}
