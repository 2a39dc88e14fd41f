// The encoder of a bundle: normalised pixels to features.

import { openSession, run } from "./runtime.js";

export const FEATURES = ["image_embed", "high_res_feats_0", "high_res_feats_1"];

export class Encoder {
  // `model` is the section of that name in bundle.json.
  static async open(bytes, model) {
    // In 8 bits, operators are joined that are slow apart.
    const level = model.precision === "float" ? "disabled" : "all";
    return new Encoder(await openSession(bytes, level), model);
  }

  constructor(session, model) {
    this.session = session;
    this.model = model;
  }

  // Features {name: [floats, shape]} of what `preprocess` made of a photo.
  encode(pixels) {
    return run(this.session, { image: [pixels, [1, 3, ...this.model.input_size]] }, FEATURES);
  }
}
