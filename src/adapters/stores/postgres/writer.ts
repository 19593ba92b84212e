import { AsyncLocalStorage } from "node:async_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { Topic } from "../../../ports/store.ts";
import type { Dialect, Session } from "../sql/session.ts";
import { within } from "../sql/transaction-context.ts";
import { tookEffect } from "./commit-mark.ts";
import { ConnectionLost, faultKind, translate } from "../../../clients/postgres/errors.ts";
import { IdleWatch } from "./idle-watch.ts";
import type { Job } from "./job.ts";
import type { QueryBuilders } from "./kysely-dialect.ts";
import { Owner, Owners, type JoinLimits } from "./owners.ts";
import type { Pool } from "../../../clients/postgres/pool.ts";
import { Rooms } from "./rooms.ts";
import { PostgresSession } from "./session.ts";
import { Transaction, UnknownCommit } from "./transaction.ts";
import { GivesWay, WriteLocks } from "./write-locks.ts";

export interface WriterDeps {
  readonly pool: Pool;
  readonly builders: QueryBuilders;
  readonly dialect: Dialect;
  readonly clock: Pick<Clock, "id">;
  readonly limits: WriterLimits;
  /** Called after a commit with what it touched. */
  readonly committed: (topics: ReadonlySet<Topic>) => void;
  /** Called when a transaction passed over what others held. */
  readonly passedOver: () => void;
  readonly onCommit: (n: number, phase: "before" | "after") => void;
}

export interface WriterLimits extends JoinLimits {
  /** A transaction that runs no statement for so long awaits something else than its `tx`; it is ended. */
  readonly idleMs: number;
}

/** How often a transaction runs again at most, by reason; after that its caller is told. */
const most = { rerun: 20, overtaken: 3, lost: 5 } as const;

interface Kept {
  readonly job: Job;
  readonly session: PostgresSession;
}

/** Runs transactions side by side, each until it is kept, has failed, or has run again too often. */
export class Writer {
  readonly #deps: WriterDeps;
  readonly #owners = new Owners();
  readonly #rooms = new Rooms();
  readonly #watch: IdleWatch;
  readonly #active = new Set<Promise<void>>();
  #commits = 0;

  constructor(deps: WriterDeps) {
    this.#deps = deps;
    this.#watch = new IdleWatch(deps.limits.idleMs);
  }

  /** Runs `fn` in a transaction and resolves after the commit. */
  run<T>(fn: (session: Session) => Promise<T>): Promise<T> {
    const inCallersContext = AsyncLocalStorage.snapshot();
    return new Promise<T>((resolve, reject) => {
      let result: { readonly value: T } | undefined;
      this.#lead({
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
      });
    });
  }

  /** Resolves when no transaction is under way. */
  async idle(): Promise<void> {
    while (this.#active.size > 0) await Promise.all(this.#active);
  }

  close(): void {
    this.#watch.close();
  }

  #lead(job: Job): void {
    const led: Promise<void> = this.#untilSettled(job).finally(() => this.#active.delete(led));
    this.#active.add(led);
  }

  /** Runs the job by itself, or gives it to the transaction that holds what it wants, until one of the two has settled it. */
  async #untilSettled(job: Job): Promise<void> {
    for (;;) {
      const why = await this.#attempt(job);
      if (why === null) return;
      if (why.to instanceof Owner) {
        if (why.to.admit(job)) return;
        await why.to.ended;
      } else if (why.to !== "newer rows") job.rooms.add(why.to);
    }
  }

  /** Null: the job is settled. Otherwise it is to run again. */
  async #attempt(job: Job): Promise<GivesWay | null> {
    const { pool, limits } = this.#deps;
    const leave = await this.#rooms.enter(job.rooms);
    const transaction = new Transaction({ pool, mode: "write", rooms: [...job.rooms] });
    const owner = new Owner(transaction, limits);
    const kept: Kept[] = [];
    try {
      kept.push({ job, session: await this.#inside(job, owner) });
      await this.#letJoin(owner, kept);
      await this.#commit(transaction, kept);
      return null;
    } catch (error) {
      await transaction.rollback();
      // Those who had joined are not to blame.
      for (const { job: joined } of kept) if (joined !== job) this.#lead(joined);
      return this.#runsAgain(job, error);
    } finally {
      this.#owners.free(owner);
      leave();
      for (const late of owner.end()) this.#lead(late);
    }
  }

  /** Errors: what the function throws, or why it gives way. */
  async #inside(job: Job, owner: Owner): Promise<PostgresSession> {
    const { builders, dialect, clock } = this.#deps;
    const { transaction } = owner;
    let locks: WriteLocks | null = null;
    const session = new PostgresSession(
      { transaction, builder: builders.take(), dialect, clock },
      (giveWay) =>
        (locks = new WriteLocks({
          owner,
          owners: this.#owners,
          mayBeOvertaken: job.again.overtaken < most.overtaken,
          giveWay,
        })),
    );
    try {
      await this.#watch.during(session, () => job.run(session));
    } catch (error) {
      throw session.gaveWay ?? error;
    } finally {
      session.close();
      if (passedOver(locks)) this.#deps.passedOver();
    }
    if (session.gaveWay !== null) throw session.gaveWay;
    return session;
  }

  /** Runs those who want what this transaction holds, each in a savepoint: one that fails is undone alone. */
  async #letJoin(owner: Owner, kept: Kept[]): Promise<void> {
    const { transaction } = owner;
    for (let job = owner.next(); job !== null; job = owner.next()) {
      let isSafe = false;
      try {
        await transaction.settled();
        await transaction.send("savepoint job");
        isSafe = true;
        const session = await this.#inside(job, owner);
        await transaction.settled();
        await transaction.send("release savepoint job");
        kept.push({ job, session });
      } catch (error) {
        if (!isSafe || faultKind(error) === "lost") {
          this.#lead(job);
          throw error;
        }
        await transaction.settled().catch(() => {});
        transaction.forgiveFailure();
        // What it took of them is given back.
        owner.sequences.clear();
        await transaction.send("rollback to savepoint job");
        void this.#settleJoined(job, error);
      }
    }
  }

  async #settleJoined(job: Job, error: unknown): Promise<void> {
    if ((await this.#runsAgain(job, error)) !== null) this.#lead(job);
  }

  async #commit(transaction: Transaction, kept: readonly Kept[]): Promise<void> {
    const { pool, onCommit, committed } = this.#deps;
    const counts = transaction.hasWritten;
    if (counts) {
      this.#commits += 1;
      onCommit(this.#commits, "before");
    }
    const number = this.#commits;
    try {
      await transaction.commit();
    } catch (error) {
      if (!(error instanceof UnknownCommit)) throw error;
      if (!(await tookEffect(pool, error.mark))) throw new ConnectionLost(error.cause);
    }
    if (counts) onCommit(number, "after");
    const touched = new Set<Topic>();
    for (const { job, session } of kept) {
      job.kept();
      for (const topic of session.touched) touched.add(topic);
    }
    committed(touched);
  }

  /** Says why the job is to run again after this error, or settles it as failed. */
  async #runsAgain(job: Job, error: unknown): Promise<GivesWay | null> {
    if (error instanceof GivesWay) {
      if (error.to === "newer rows") job.again.overtaken += 1;
      return error;
    }
    const kind = faultKind(error);
    if (kind === "other" || job.again[kind] >= most[kind]) {
      job.failed(translate(error));
      return null;
    }
    job.again[kind] += 1;
    const longestMs = kind === "lost" ? 100 * job.again.lost : 2 ** Math.min(job.again.rerun, 7);
    await sleep(Math.random() * longestMs);
    return new GivesWay("newer rows");
  }
}

function passedOver(locks: WriteLocks | null): boolean {
  return locks?.passedOver ?? false;
}

export function refusedAsClosed(): GlasshouseError {
  return new GlasshouseError("unavailable", "The store is closed; the server is stopping.");
}
