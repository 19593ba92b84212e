import type { Topic } from "../../../ports/store.ts";

/** Wakes watchers after commits; commits of one turn of the event loop wake each once. */
export class Topics {
  readonly #watchers = new Map<Topic, Set<() => void>>();
  readonly #pending = new Set<Topic>();
  #scheduled = false;

  watch(topic: Topic, fn: () => void): () => void {
    // An own function each time, so that the same one may watch twice and end each watch by itself.
    const own = (): void => fn();
    const watchers = this.#watchers.get(topic) ?? new Set();
    this.#watchers.set(topic, watchers.add(own));
    return () => {
      watchers.delete(own);
    };
  }

  wake(topics: Iterable<Topic>): void {
    for (const topic of topics) this.#pending.add(topic);
    if (this.#scheduled || this.#pending.size === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      const woken = [...this.#pending];
      this.#pending.clear();
      for (const topic of woken) {
        for (const fn of this.#watchers.get(topic) ?? []) fn();
      }
    });
  }

  clear(): void {
    this.#watchers.clear();
  }
}
