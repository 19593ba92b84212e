import type { Json } from "../lib/json.ts";
import type { Fence } from "../ports/work.ts";
import type { EngineDeps } from "./deps.ts";

const gatherMs = 200;
const mostNotes = 20_000;

/** Gathers an attempt's notes and stores them together: durable within a fifth of a second, one commit for many. */
export class NoteBuffer {
  readonly #deps: Pick<EngineDeps, "store" | "clock">;
  readonly #fence: Fence;
  #waiting: Json[] = [];
  #count = 0;
  #next: Promise<void> | null = null;

  constructor(deps: Pick<EngineDeps, "store" | "clock">, fence: Fence) {
    this.#deps = deps;
    this.#fence = fence;
  }

  /** Resolves when the note is stored. Past the bound notes are dropped: by then a person has to look anyway. */
  add(note: Json): Promise<void> {
    if (this.#count >= mostNotes) return Promise.resolve();
    this.#count += 1;
    this.#waiting.push(note);
    this.#next ??= new Promise((resolve, reject) => {
      this.#deps.clock.after(gatherMs, () => {
        this.#store().then(resolve, reject);
      });
    });
    return this.#next;
  }

  async #store(): Promise<void> {
    const notes = this.#waiting;
    this.#waiting = [];
    this.#next = null;
    await this.#deps.store.transact((tx) => tx.steps.addNotes(this.#fence, notes));
  }
}
