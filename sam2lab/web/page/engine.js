// The worker that owns the model, seen from the page.

import { carried } from "./carried.js";

// Started when this file is here, because the rest of the page takes as long to come.
const worker = new Worker(carried("worker") ? inline() : beside(), { type: "module" });

export class Engine {
  constructor() {
    this.waiting = new Map();
    this.count = 0;
    this.worker = worker;
    this.worker.onmessage = ({ data }) => this.hear(data);
    this.worker.onerror = (event) => {
      for (const { reject } of this.waiting.values()) {
        reject(new Error(event.message || "The part of the page that computes did not start."));
      }
      this.waiting.clear();
    };
  }

  // Ask for a verb of model/worker.js; `tell` hears of its progress.
  ask(verb, given, { tell = () => {}, transfer = [] } = {}) {
    const id = ++this.count;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, tell });
      this.worker.postMessage({ id, verb, ...given }, transfer);
    });
  }

  hear({ id, progress, result, error }) {
    const asked = this.waiting.get(id);
    if (!asked) return;
    if (progress) return asked.tell(progress);
    this.waiting.delete(id);
    if (error === undefined) asked.resolve(result);
    else asked.reject(new Error(error));
  }
}

function beside() {
  return new URL("../worker.js", import.meta.url);
}

// A page that was opened from disk may start a worker only from an address that holds all of it.
function inline() {
  return `data:text/javascript;base64,${carried("worker")}`;
}
