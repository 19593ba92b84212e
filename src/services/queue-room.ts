import { GlasshouseError } from "../domain/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Tx } from "../ports/store.ts";
import type { RunRepository } from "../ports/work.ts";

/** A count counts for so long, as other replicas queue runs too. */
const countedMs = 1_000;
/** Of what is free each replica takes this part between two counts, so that so many of them never take more than there is. */
const shares = 8;

interface Queued extends Pick<Tx, "sure"> {
  readonly runs: Pick<RunRepository, "countQueued">;
}

/**
 * How many runs may still be queued. Counting costs more the longer the queue is, so that it is counted again only when a
 * share of what was free is taken, or a second is over: often near the limit, and seldom far from it.
 */
export class QueueRoom {
  readonly #clock: Pick<Clock, "monotonic">;
  #share = 0;
  #countedAtMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
  }

  /**
   * Takes the place of one run. A place that was taken for a transaction that came to nothing is free at the next count.
   * Errors: `too-many`.
   */
  async take(tx: Queued, limit: number): Promise<void> {
    const now = this.#clock.monotonic();
    if (this.#share <= 0 || now - this.#countedAtMs > countedMs)
      await tx.sure(this.#count(tx, limit, now));
    this.#share -= 1;
  }

  async #count({ runs }: Queued, limit: number, now: number): Promise<void> {
    const all = await runs.countQueued();
    if (all >= limit) {
      this.#share = 0;
      throw new GlasshouseError(
        "too-many",
        `${all} runs are queued, and at most ${limit} may wait: try again when some have ended.`,
      );
    }
    this.#share = Math.max(1, Math.floor((limit - all) / shares));
    this.#countedAtMs = now;
  }
}
