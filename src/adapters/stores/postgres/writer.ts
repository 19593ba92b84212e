import { AsyncLocalStorage } from "node:async_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { Topic, TransactOptions } from "../../../ports/store.ts";
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
  /** Of those that several brief ones share, so many are under way at most: who comes meanwhile shares the next one. */
  readonly sideBySide: number;
}

/** How often a transaction runs again at most, by reason; after that its caller is told. */
const most = { rerun: 20, overtaken: 3, lost: 5 } as const;

interface Kept {
  readonly job: Job;
  readonly session: PostgresSession;
}

interface Apart {
  readonly job: Job;
  readonly session: null;
  readonly hasWritten: boolean;
  readonly why?: GivesWay;
}

interface Opened {
  readonly session: PostgresSession;
  readonly locks: readonly WriteLocks[];
}

/** A transaction that a job runs in, and whether others run in it at the same time. */
interface Place {
  readonly owner: Owner;
  readonly sharing: boolean;
}

/** Runs transactions side by side, each until it is kept, has failed, or has run again too often. */
export class Writer {
  readonly #deps: WriterDeps;
  readonly #owners = new Owners();
  readonly #rooms = new Rooms();
  readonly #watch: IdleWatch;
  readonly #active = new Set<Promise<void>>();
  /** Brief ones that no transaction has taken yet. */
  readonly #brief: Job[] = [];
  #sharing = 0;
  #isGathering = false;
  #commits = 0;

  constructor(deps: WriterDeps) {
    this.#deps = deps;
    this.#watch = new IdleWatch(deps.limits.idleMs);
  }

  /** Runs `fn` in a transaction and resolves after the commit. */
  run<T>(fn: (session: Session) => Promise<T>, how: TransactOptions = {}): Promise<T> {
    const inCallersContext = AsyncLocalStorage.snapshot();
    return new Promise<T>((resolve, reject) => {
      let result: { readonly value: T } | undefined;
      this.#take({
        brief: how.brief ?? false,
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
    while (this.#active.size + this.#brief.length > 0) {
      await Promise.all(this.#active);
      await Promise.resolve();
    }
  }

  close(): void {
    this.#watch.close();
  }

  #take(job: Job): void {
    if (!job.brief) return this.#lead(job);
    this.#brief.push(job);
    if (this.#isGathering) return;
    this.#isGathering = true;
    // Those that come in the same turn of the event loop go together.
    process.nextTick(() => {
      this.#isGathering = false;
      this.#shareMore();
    });
  }

  #shareMore(): void {
    while (this.#brief.length > 0 && this.#sharing < this.#deps.limits.sideBySide) {
      this.#sharing += 1;
      const jobs = this.#brief.splice(0, this.#deps.limits.transactions);
      this.#keep(
        this.#together(jobs).finally(() => {
          this.#sharing -= 1;
          this.#shareMore();
        }),
      );
    }
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

  /**
   * Runs jobs side by side in one transaction: their statements go out together, and those that are alike become one. All of
   * them are kept, or none: when one fails that has written, it runs again by itself, as if it had never been here, and the
   * others run again without it.
   */
  async #together(jobs: readonly Job[]): Promise<void> {
    const [only, ...others] = jobs;
    if (only === undefined) return;
    if (others.length === 0) return this.#untilSettled(only);
    const { pool, limits } = this.#deps;
    const transaction = new Transaction({ pool, mode: "brief", rooms: [] });
    const owner = new Owner(transaction, limits);
    const ran = await Promise.all(jobs.map((job) => this.#beside(job, owner)));
    const kept = ran.filter((one) => one.session !== null);
    const apart = ran.filter((one) => one.session === null);
    for (const { job, why } of apart) this.#lead(job, why);
    const isSpoiled = apart.some(({ hasWritten }) => hasWritten);
    try {
      if (isSpoiled) throw new Error("One of them failed after it had written");
      await this.#letJoin(owner, kept);
      await this.#commit(transaction, kept);
    } catch {
      await transaction.rollback();
      // When nobody's failure is the reason, each finds it out by itself.
      for (const { job } of kept)
        if (isSpoiled) this.#take(job);
        else this.#lead(job);
    } finally {
      this.#owners.free(owner);
      for (const late of owner.end()) this.#lead(late);
    }
  }

  async #beside(job: Job, owner: Owner): Promise<Kept | Apart> {
    const opened = this.#open(job, { owner, sharing: true });
    const { session } = opened;
    try {
      await this.#runIn(opened, job);
      return { job, session };
    } catch (error) {
      const why = error instanceof GivesWay ? { why: error } : {};
      return { job, session: null, hasWritten: session.hasWritten, ...why };
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
    const opened = this.#open(job, { owner, sharing: false });
    await this.#runIn(opened, job);
    return opened.session;
  }

  #open(job: Job, { owner, sharing }: Place): Opened {
    const { builders, dialect, clock } = this.#deps;
    const by = {};
    const locks: WriteLocks[] = [];
    const session = new PostgresSession(
      {
        transaction: owner.transaction,
        by,
        isShared: sharing,
        builder: builders.take(),
        dialect,
        clock,
      },
      (giveWay) => {
        const made = new WriteLocks({
          owner,
          owners: this.#owners,
          by,
          sharing,
          mayBeOvertaken: job.again.overtaken < most.overtaken,
          giveWay,
        });
        locks.push(made);
        return made;
      },
    );
    return { session, locks };
  }

  async #runIn({ session, locks }: Opened, job: Job): Promise<void> {
    try {
      await this.#watch.during(session, () => job.run(session));
    } catch (error) {
      throw session.gaveWay ?? error;
    } finally {
      session.close();
      for (const held of locks) held.end();
      if (locks.some((held) => held.passedOver)) this.#deps.passedOver();
    }
    if (session.gaveWay !== null) throw session.gaveWay;
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

export function refusedAsClosed(): GlasshouseError {
  return new GlasshouseError("unavailable", "The store is closed; the server is stopping.");
}
