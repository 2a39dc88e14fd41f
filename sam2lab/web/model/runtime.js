// onnxruntime-web as this page uses it: on one thread, with its program handed over as bytes.
//
// More threads would need a server that isolates the page from other origins, which plain static
// servers do not.

import * as ort from "../vendor/ort.wasm.bundle.min.js";

// A graph that gives what it takes, as an ONNX file.
const NOTHING = "CAg6KwoQCgF4EgF5IghJZGVudGl0eRIBZ1oJCgF4EgQKAggBYgkKAXkSBAoCCAFCAhAR";

// Give the library its program, and start it. Call this once, before `openSession`.
//
// The library starts with its first graph, so this gives it one: graphs that are on their way can
// be unpacked while the browser looks through the program.
export async function useProgram(wasm) {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = wasm;
  const bytes = Uint8Array.from(atob(NOTHING), (character) => character.charCodeAt(0));
  const session = await openSession(bytes, "disabled");
  await session.release();
}

// Open the bytes of an ONNX file; `level` says how far the library changes the graph first.
//
// Our graphs were simplified when they were exported. For nano's encoder "disabled" opens in half
// the time of "all", 0.5 s less, and is as fast; its decoder is 3 ms faster after "basic", which
// unpacks weights of half precision once. That takes half of the time in which the decoder opens,
// so a page has a decoder that `write_page` took through "basic".
export function openSession(bytes, level) {
  const how = { executionProviders: ["wasm"], graphOptimizationLevel: level };
  return ort.InferenceSession.create(bytes, how);
}

// Run a session on {name: [floats, shape]}; gives {name: [floats, shape]} of the wanted outputs.
export async function run(session, inputs, outputs) {
  const fed = {};
  for (const [name, [values, shape]] of Object.entries(inputs)) {
    fed[name] = new ort.Tensor("float32", values, shape);
  }
  const given = await session.run(fed, outputs);
  return Object.fromEntries(outputs.map((name) => [name, [given[name].data, given[name].dims]]));
}
