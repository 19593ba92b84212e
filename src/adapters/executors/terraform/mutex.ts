import { GlasshouseError } from "../../../domain/errors.ts";

/** One holder at a time, in order of asking. */
export class Mutex {
  #tail: Promise<void> = Promise.resolve();
  #holders = 0;

  /** True while somebody holds it or waits for it. */
  get busy(): boolean {
    return this.#holders > 0;
  }

  /** Runs `fn` alone. Errors: `step-interrupted` when `signal` is aborted before its turn comes. */
  async run<T>(signal: AbortSignal, fn: () => Promise<T>): Promise<T> {
    const before = this.#tail;
    const turn = Promise.withResolvers<void>();
    this.#tail = before.then(() => turn.promise);
    this.#holders += 1;
    try {
      await Promise.race([before, aborted(signal)]);
      if (signal.aborted) {
        throw new GlasshouseError("step-interrupted", "It was stopped before its turn came.");
      }
      return await fn();
    } finally {
      this.#holders -= 1;
      turn.resolve();
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  else signal.addEventListener("abort", () => resolve(), { once: true });
  return promise;
}
