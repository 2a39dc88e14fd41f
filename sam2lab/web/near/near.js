// Decides whether clicks are answered here or by the kernel, and fetches from the kernel what
// answering takes. This much is in every page with a clicker; the rest comes when it is needed.

const PINGS = 5;
// Below this the kernel's answers are there as soon as the browser's would be.
const PAYS_FROM_MS = 50;
const PARTS_IN_FLIGHT = 4;
const SHELF = "sam2lab";

// Gives a function that asks the kernel something and waits for the reply.
function connected(model) {
  const waiting = new Map();
  let count = 0;
  model.on("msg:custom", ({ reply, ...rest }, buffers) => {
    waiting.get(reply)?.({ ...rest, buffers });
    waiting.delete(reply);
  });
  return (question) =>
    new Promise((resolve) => {
      waiting.set(++count, resolve);
      model.send({ ...question, ask: count });
    });
}

// The shortest of several, because a kernel that is busy for a moment is not far away.
async function roundTrip(ask) {
  const times = [];
  while (times.length < PINGS) {
    const start = performance.now();
    await ask({ want: "nothing" });
    times.push(performance.now() - start);
  }
  return Math.min(...times);
}

// A file from the kernel, or from the browser's cache if it was fetched on an earlier day.
async function fetched(ask, { name, parts, digest, packed }) {
  // There is no cache where a page comes by plain http from another machine.
  const shelf = digest && (await globalThis.caches?.open(SHELF).catch(() => null));
  const address = `https://sam2lab.invalid/${digest}`;
  const kept = await shelf?.match(address);
  if (kept) return kept.blob();
  const pieces = new Array(parts);
  let next = 0;
  // In parts, so that the answer to a click never waits behind megabytes.
  const fetching = async () => {
    while (next < parts) {
      const number = next++;
      pieces[number] = (await ask({ want: "part", name, number })).buffers[0];
    }
  };
  await Promise.all(Array.from({ length: PARTS_IN_FLIGHT }, fetching));
  let blob = new Blob(pieces);
  if (packed) {
    blob = await new Response(blob.stream().pipeThrough(new DecompressionStream("gzip"))).blob();
  }
  await shelf?.put(address, new Response(blob)).catch(() => null);
  return blob;
}

async function fetchedAll(ask, files) {
  const blobs = await Promise.all(files.map((file) => fetched(ask, file)));
  return Object.fromEntries(files.map(({ name }, i) => [name, blobs[i]]));
}

// The parts that answer, opened with the model that the kernel has.
async function prepared(ask, model, el, failed) {
  const { files, info } = await ask({ want: "model" });
  const found = await fetchedAll(ask, files);
  const address = (name) => URL.createObjectURL(found[name].slice(0, undefined, "text/javascript"));
  const { Answering } = await import(address("page.js"));
  const [wasm, graph] = [await found.wasm.arrayBuffer(), await found.decoder.arrayBuffer()];
  return Answering.open(model, el, address("worker.js"), { wasm, graph, info }, failed);
}

async function render({ model, el, signal }) {
  const ask = connected(model);
  // The kernel tells more with its next question while a browser answers, so wait for that.
  const tell = (state, more) => ask({ want: "nothing", state, ...more });
  const asked = () => ({ mode: model.get("mode"), ...model.get("question") });
  let [answering, measured, ms] = [null, null, null];

  // What failed once is not tried again: the kernel answers.
  let isRefused = false;
  function refuse(error) {
    isRefused = true;
    answering?.close();
    tell("refused", { why: String(error?.message ?? error) });
  }

  async function decide() {
    const { mode, key, model: name } = asked();
    if (mode === "kernel" || !key) {
      answering?.stop();
      return tell("kernel");
    }
    if (mode === "auto") {
      if (measured !== key) [measured, ms] = [key, await roundTrip(ask)];
      if (ms < PAYS_FROM_MS) {
        answering?.stop();
        return tell("kernel");
      }
    }
    await tell("loading", { ms });
    if (answering?.name !== name) {
      answering?.close();
      answering = await prepared(ask, model, el, refuse);
      answering.name = name;
    }
    if (answering.photo !== key) {
      const { files, layout } = await ask({ want: "features", key });
      const found = await fetchedAll(ask, files);
      // Meanwhile another photo may have been opened, which has a turn of its own.
      if (!found.features || asked().key !== key) return;
      await answering.look(key, layout, await found.features.arrayBuffer());
    }
    if (asked().mode === "kernel" || signal.aborted) return;
    answering.start();
    await tell("browser", { ms });
  }

  // One turn after the other.
  let [last, known] = [Promise.resolve(), null];
  const turn = () => {
    const { mode, key } = asked();
    if (known === `${mode} ${key}` || isRefused) return;
    known = `${mode} ${key}`;
    last = last.then(decide).catch(refuse);
  };
  model.on("change:mode", turn);
  model.on("change:question", turn);
  turn();
  return () => answering?.close();
}

export default { render };
