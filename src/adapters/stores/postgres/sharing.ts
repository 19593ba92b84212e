import type { Job } from "./job.ts";
import type { JobRuns, Kept } from "./job-runs.ts";
import { Owner, type JoinLimits } from "./owners.ts";
import type { Pool } from "../../../clients/postgres/pool.ts";
import { Transaction } from "./transaction.ts";
import { GivesWay } from "./write-locks.ts";

export interface SharingDeps {
  readonly pool: Pool;
  readonly limits: SharingLimits;
  readonly runs: JobRuns;
  /** Runs a job by itself until it is settled. */
  readonly alone: (job: Job, why?: GivesWay) => Promise<void>;
  /** Keeps the store open until the work is done. */
  readonly keep: (work: Promise<void>) => void;
}

export interface SharingLimits extends JoinLimits {
  /** Of transactions that several brief ones share, so many are under way at most: who comes meanwhile shares the next one. */
  readonly sideBySide: number;
}

interface Apart {
  readonly job: Job;
  readonly session: null;
  readonly hasWritten: boolean;
  readonly why?: GivesWay;
}

/** Runs brief jobs that come at about the same time in transactions that they share. */
export class Sharing {
  readonly #deps: SharingDeps;
  /** Those that no transaction has taken yet. */
  readonly #waiting: Job[] = [];
  #underWay = 0;
  #isGathering = false;

  constructor(deps: SharingDeps) {
    this.#deps = deps;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  take(job: Job): void {
    this.#waiting.push(job);
    if (this.#isGathering) return;
    this.#isGathering = true;
    // Those that come in the same turn of the event loop go together.
    process.nextTick(() => {
      this.#isGathering = false;
      this.#shareMore();
    });
  }

  #shareMore(): void {
    while (this.#waiting.length > 0 && this.#underWay < this.#deps.limits.sideBySide) {
      this.#underWay += 1;
      const jobs = this.#waiting.splice(0, this.#deps.limits.transactions);
      this.#deps.keep(
        this.#together(jobs).finally(() => {
          this.#underWay -= 1;
          this.#shareMore();
        }),
      );
    }
  }

  /**
   * Runs jobs side by side in one transaction: their statements go out together, and those that are alike become one. All of
   * them are kept, or none: when one fails that has written, it runs again by itself, as if it had never been here, and the
   * others run again without it.
   */
  async #together(jobs: readonly Job[]): Promise<void> {
    const [only, ...others] = jobs;
    if (only === undefined) return;
    if (others.length === 0) return this.#deps.alone(only);
    const { pool, limits, runs } = this.#deps;
    const transaction = new Transaction({ pool, mode: "brief", rooms: [] });
    const owner = new Owner(transaction, limits);
    const ran = await Promise.all(jobs.map((job) => this.#beside(job, owner)));
    const kept = ran.filter((one) => one.session !== null);
    const apart = ran.filter((one) => one.session === null);
    for (const { job, why } of apart) this.#lead(job, why);
    const isSpoiled = apart.some(({ hasWritten }) => hasWritten);
    try {
      if (isSpoiled) throw new Error("One of them failed after it had written");
      await runs.letJoin(owner, kept);
      await runs.commit(transaction, kept);
    } catch {
      await transaction.rollback();
      // When nobody's failure is the reason, each finds it out by itself.
      for (const { job } of kept)
        if (isSpoiled) this.take(job);
        else this.#lead(job);
    } finally {
      runs.owners.free(owner);
      for (const late of owner.end()) this.#lead(late);
    }
  }

  async #beside(job: Job, owner: Owner): Promise<Kept | Apart> {
    const { runs } = this.#deps;
    const opened = runs.open(job, { owner, sharing: true });
    const { session } = opened;
    try {
      await runs.runIn(opened, job);
      return { job, session };
    } catch (error) {
      const why = error instanceof GivesWay ? { why: error } : {};
      return { job, session: null, hasWritten: session.hasWritten, ...why };
    }
  }

  #lead(job: Job, why?: GivesWay): void {
    this.#deps.keep(this.#deps.alone(job, why));
  }
}
