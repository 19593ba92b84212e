import { AsyncLocalStorage } from "node:async_hooks";
import { StoreFault } from "../../../domain/errors.ts";
import type { TransactOptions } from "../../../ports/store.ts";
import type { Session } from "../sql/session.ts";
import { within } from "../sql/transaction-context.ts";
import { JobRuns, type JobRunsDeps, type Kept, type RunLimits } from "./job-runs.ts";
import type { Job } from "./job.ts";
import { Owner } from "./owners.ts";
import { Rooms } from "./rooms.ts";
import { Sharing, type SharingLimits } from "./sharing.ts";
import { Transaction } from "./transaction.ts";
import type { GivesWay } from "./write-locks.ts";

export interface WriterDeps extends JobRunsDeps {
  readonly limits: WriterLimits;
}

export interface WriterLimits extends RunLimits, SharingLimits {}

/** Runs transactions side by side, each until it is kept, has failed, or has run again too often. */
export class Writer {
  readonly #deps: WriterDeps;
  readonly #runs: JobRuns;
  readonly #sharing: Sharing;
  readonly #rooms = new Rooms();
  readonly #active = new Set<Promise<void>>();

  constructor(deps: WriterDeps) {
    this.#deps = deps;
    this.#runs = new JobRuns(deps, (job) => this.#lead(job));
    this.#sharing = new Sharing({
      ...deps,
      runs: this.#runs,
      alone: (job, why) => this.#untilSettled(job, why),
      keep: (work) => this.#keep(work),
    });
  }

  /** Runs `fn` in a transaction and resolves after the commit. */
  run<T>(fn: (session: Session) => Promise<T>, how: TransactOptions = {}): Promise<T> {
    const inCallersContext = AsyncLocalStorage.snapshot();
    return new Promise<T>((resolve, reject) => {
      let result: { readonly value: T } | undefined;
      const job: Job = {
        brief: how.brief ?? false,
        inPlace: how.inPlace ?? (() => false),
        run: async (session) => {
          const value = await inCallersContext(() => within(session, () => fn(session)));
          result = { value };
        },
        kept: () => {
          if (result !== undefined) resolve(result.value);
        },
        failed: reject,
        rooms: new Set(),
        again: { rerun: 0, overtaken: 0, lost: 0 },
      };
      if (job.brief) this.#sharing.take(job);
      else this.#lead(job);
    });
  }

  /** Resolves when no transaction is under way. */
  async idle(): Promise<void> {
    while (this.#active.size > 0 || !this.#sharing.isEmpty) {
      await Promise.all(this.#active);
      await Promise.resolve();
    }
  }

  close(): void {
    this.#runs.close();
  }

  #lead(job: Job, why?: GivesWay): void {
    this.#keep(this.#untilSettled(job, why));
  }

  #keep(work: Promise<void>): void {
    const kept: Promise<void> = work.finally(() => this.#active.delete(kept));
    this.#active.add(kept);
  }

  /** Runs the job by itself, or gives it to the transaction that holds what it wants, until one of the two has settled it. */
  async #untilSettled(job: Job, first?: GivesWay): Promise<void> {
    for (let why: GivesWay | null = first ?? null; ; why = null) {
      why ??= await this.#attempt(job);
      if (why === null) return;
      if (why.to instanceof Owner) {
        if (why.to.admit(job)) return;
        await why.to.ended;
      } else if (why.to !== "newer rows" && why.to !== "no others") job.rooms.add(why.to);
    }
  }

  /** Null: the job is settled. Otherwise it is to run again. */
  async #attempt(job: Job): Promise<GivesWay | null> {
    const { pool, limits } = this.#deps;
    const leave = await this.#rooms.enter(job.rooms);
    const mode = job.brief ? "brief" : "write";
    const transaction = new Transaction({ pool, mode, rooms: [...job.rooms] });
    const owner = new Owner(transaction, limits);
    const kept: Kept[] = [];
    try {
      kept.push({ job, session: await this.#runs.first(job, owner) });
      await this.#runs.letJoin(owner, kept);
      await this.#runs.commit(transaction, kept);
      return null;
    } catch (error) {
      await transaction.rollback();
      // Those who had joined are not to blame.
      for (const { job: joined } of kept) if (joined !== job) this.#lead(joined);
      return this.#runs.runsAgain(job, error);
    } finally {
      this.#runs.owners.free(owner);
      leave();
      for (const late of owner.end()) this.#lead(late);
    }
  }
}

export function refusedAsClosed(): StoreFault {
  return new StoreFault("unavailable", "The store is closed; the server is stopping.");
}
