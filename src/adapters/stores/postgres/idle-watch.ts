import { GlasshouseError } from "../../../domain/errors.ts";
import type { PostgresSession } from "./session.ts";

interface Watched {
  readonly session: PostgresSession;
  readonly end: () => void;
  seen: number;
}

/** Ends transactions that await something that is not their `tx`: they would keep others from what they hold. */
export class IdleWatch {
  readonly #idleMs: number;
  readonly #watched = new Set<Watched>();
  readonly #timer: NodeJS.Timeout;

  constructor(idleMs: number) {
    this.#idleMs = idleMs;
    this.#timer = setInterval(() => this.#look(), idleMs);
    this.#timer.unref();
  }

  async during(session: PostgresSession, fn: () => Promise<void>): Promise<void> {
    const { promise, reject } = Promise.withResolvers<never>();
    const watched = { session, end: () => reject(awaitsElsewhere(this.#idleMs)), seen: -1 };
    this.#watched.add(watched);
    try {
      await Promise.race([fn(), promise]);
    } finally {
      this.#watched.delete(watched);
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    for (const watched of this.#watched) {
      const { steps, isBusy } = watched.session;
      if (!isBusy && steps === watched.seen) watched.end();
      else watched.seen = steps;
    }
  }
}

function awaitsElsewhere(idleMs: number): GlasshouseError {
  return new GlasshouseError(
    "internal",
    `A transaction was ended because it ran no statement for ${idleMs} ms: it awaits something else than its tx. ` +
      "Do that before or after the transaction.",
  );
}
