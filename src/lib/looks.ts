/** What of a clock is used: milliseconds that never go back, and a timer that is forgotten by what it returns. */
interface Timers {
  monotonic(): number;
  after(delayMs: number, fn: () => void): () => void;
}

/**
 * A look that is asked for far more often than it has a use: done one at a time, at the earliest time that was asked for, and once
 * more when something moved meanwhile.
 */
export class Looks {
  readonly #clock: Timers;
  readonly #look: () => Promise<void>;
  readonly #restMs: number;
  #forget: (() => void) | null = null;
  #dueAtMs = Number.POSITIVE_INFINITY;
  #looking: Promise<void> | null = null;
  #isMoved = false;
  #isStopped = false;

  /** `look` never rejects. Between two looks at what moves all the time there are at least `restMs`. */
  constructor(of: {
    readonly clock: Timers;
    readonly look: () => Promise<void>;
    readonly restMs: number;
  }) {
    this.#clock = of.clock;
    this.#look = of.look;
    this.#restMs = of.restMs;
  }

  /** Something moved: there is a look soon, or one more after the one under way. */
  moved(): void {
    this.#isMoved = true;
    if (this.#looking === null) this.within(this.#restMs);
  }

  /** There is a look in so long at the latest. */
  within(delayMs: number): void {
    const dueAtMs = this.#clock.monotonic() + delayMs;
    if (this.#isStopped || dueAtMs >= this.#dueAtMs) return;
    this.#forget?.();
    this.#dueAtMs = dueAtMs;
    this.#forget = this.#clock.after(delayMs, () => this.#begin());
  }

  /** Begins none any more, and resolves when the one under way has ended. Safe to repeat. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#forget?.();
    await this.#looking;
  }

  #begin(): void {
    this.#dueAtMs = Number.POSITIVE_INFINITY;
    if (this.#looking !== null) {
      this.#isMoved = true;
      return;
    }
    this.#isMoved = false;
    this.#looking = this.#look().finally(() => {
      this.#looking = null;
      if (this.#isMoved) this.within(this.#restMs);
    });
  }
}
