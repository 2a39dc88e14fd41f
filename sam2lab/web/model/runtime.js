// onnxruntime-web as this page uses it: on one thread, with its program handed over as bytes.
//
// More threads would need a server that isolates the page from other origins, which plain static
// servers do not.

import * as ort from "../vendor/ort.wasm.bundle.min.js";

// Give the library its program. Call this once, before `openSession`.
export function useProgram(wasm) {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = wasm;
}

// Open the bytes of an ONNX file.
export function openSession(bytes) {
  return ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
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
