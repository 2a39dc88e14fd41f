// Asks a worker, which answers by number.

export class Assistant {
  // `address` is that of the worker's script.
  constructor(address) {
    this.worker = new Worker(address, { type: "module" });
    this.waiting = new Map();
    this.count = 0;
    this.worker.onmessage = ({ data: { id, result, error } }) => {
      const { resolve, reject } = this.waiting.get(id);
      this.waiting.delete(id);
      if (error === undefined) resolve(result);
      else reject(new Error(error));
    };
    this.worker.onerror = ({ message }) => {
      for (const { reject } of this.waiting.values()) {
        reject(new Error(message || "a worker does not start"));
      }
      this.waiting.clear();
    };
  }

  ask(verb, given) {
    return new Promise((resolve, reject) => {
      this.waiting.set(++this.count, { resolve, reject });
      this.worker.postMessage({ id: this.count, verb, ...given });
    });
  }

  end() {
    this.worker.terminate();
  }
}
