import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../../../ports/clock.ts";
import type { Topic } from "../../../ports/store.ts";
import type { Dialect } from "../sql/session.ts";
import { tookEffect } from "./commit-mark.ts";
import { ConnectionLost, faultKind, translate } from "../../../clients/postgres/errors.ts";
import { isUnforeseen, type Foresight } from "./foresight.ts";
import { IdleWatch } from "./idle-watch.ts";
import type { Job } from "./job.ts";
import type { QueryBuilders } from "./kysely-dialect.ts";
import { Owners, type JoinLimits, type Owner } from "./owners.ts";
import type { Pool } from "../../../clients/postgres/pool.ts";
import { PostgresSession } from "./session.ts";
import { UnknownCommit, type Transaction } from "./transaction.ts";
import { GivesWay, WriteLocks } from "./write-locks.ts";

export interface JobRunsDeps {
  readonly pool: Pool;
  readonly builders: QueryBuilders;
  readonly dialect: Dialect;
  readonly clock: Pick<Clock, "id">;
  readonly limits: RunLimits;
  readonly foresight: Foresight;
  /** Called after a commit with what it touched. */
  readonly committed: (topics: ReadonlySet<Topic>) => void;
  /** Called when a transaction passed over what others held. */
  readonly passedOver: () => void;
  readonly onCommit: (n: number, phase: "before" | "after") => void;
}

export interface RunLimits extends JoinLimits {
  /** A transaction that runs no statement for so long awaits something else than its `tx`; it is ended. */
  readonly idleMs: number;
}

/** How often a transaction runs again at most, by reason; after that its caller is told. */
const most = { rerun: 20, overtaken: 3, lost: 5 } as const;

export interface Kept {
  readonly job: Job;
  readonly session: PostgresSession;
}

export interface Opened {
  readonly session: PostgresSession;
  readonly locks: readonly WriteLocks[];
}

/** A transaction that a job runs in, and whether others run in it at the same time. */
interface Place {
  readonly owner: Owner;
  readonly sharing: boolean;
}

/** What must come out well is known before anything is kept, and is the reason when something after it fails. */
async function runSurely(job: Job, session: PostgresSession): Promise<void> {
  try {
    await job.run(session);
  } catch (error) {
    await session.ensured();
    throw error;
  }
  await session.ensured();
}

/** Runs jobs in transactions and commits these. */
export class JobRuns {
  readonly owners = new Owners();
  readonly #deps: JobRunsDeps;
  readonly #watch: IdleWatch;
  /** Runs a job by itself, again. */
  readonly #lead: (job: Job) => void;
  #commits = 0;

  constructor(deps: JobRunsDeps, lead: (job: Job) => void) {
    this.#deps = deps;
    this.#watch = new IdleWatch(deps.limits.idleMs);
    this.#lead = lead;
  }

  close(): void {
    this.#watch.close();
  }

  /** Runs a job in a transaction of its own. Errors: what the function throws, or why it gives way. */
  async first(job: Job, owner: Owner): Promise<PostgresSession> {
    const opened = this.open(job, { owner, sharing: false });
    const { session } = opened;
    const { foresight } = this.#deps;
    foresight.allow(session);
    try {
      await this.runIn(opened, job);
    } catch (error) {
      // If it was told what is not so, that is the reason, and not what it made of it.
      if (foresight.isTrustedBy(session)) await owner.transaction.settled();
      throw error;
    }
    return session;
  }

  /** Errors: as those of `first`. */
  async #inside(job: Job, owner: Owner): Promise<PostgresSession> {
    const opened = this.open(job, { owner, sharing: false });
    await this.runIn(opened, job);
    return opened.session;
  }

  open(job: Job, { owner, sharing }: Place): Opened {
    const { builders, dialect, clock } = this.#deps;
    const by = {};
    const locks: WriteLocks[] = [];
    const session = new PostgresSession(
      {
        transaction: owner.transaction,
        by,
        mayClaimInPlace: job.inPlace(),
        builder: builders.take(),
        dialect,
        clock,
      },
      (giveWay) => {
        const made = new WriteLocks({
          owner,
          owners: this.owners,
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

  async runIn({ session, locks }: Opened, job: Job): Promise<void> {
    try {
      await this.#watch.during(session, () => runSurely(job, session));
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
  async letJoin(owner: Owner, kept: Kept[]): Promise<void> {
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
    if ((await this.runsAgain(job, error)) !== null) this.#lead(job);
  }

  async commit(transaction: Transaction, kept: readonly Kept[]): Promise<void> {
    const { pool, onCommit, committed, foresight } = this.#deps;
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
    const telling = kept.flatMap(({ session }) => session.telling);
    if (telling.length > 0) await Promise.all(telling);
    const touched = new Set<Topic>();
    for (const { job, session } of kept) {
      foresight.committed(session);
      job.kept();
      for (const topic of session.touched) touched.add(topic);
    }
    committed(touched);
  }

  /** Says why the job is to run again after this error, or settles it as failed. */
  async runsAgain(job: Job, error: unknown): Promise<GivesWay | null> {
    if (error instanceof GivesWay) {
      if (error.to === "newer rows") job.again.overtaken += 1;
      return error;
    }
    // Once for each thing that was foreseen.
    if (isUnforeseen(error)) return new GivesWay("newer rows");
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
