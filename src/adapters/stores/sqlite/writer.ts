import { GlasshouseError } from "../../../domain/errors.ts";
import type { Topic, TransactOptions } from "../../../ports/store.ts";
import { translate } from "./errors.ts";
import { AskedEarly } from "./late-builder.ts";
import { SqliteSession } from "./session.ts";
import type { SessionDeps } from "./session.ts";
import { writerLocks } from "./writer-locks.ts";
import { within } from "../sql/transaction-context.ts";

export interface WriterDeps extends SessionDeps {
  readonly limits: WriterLimits;
  /** Called once a commit is on the disk, with what it touched. */
  readonly committed: (topics: ReadonlySet<Topic>) => void;
  readonly onCommit: (n: number, phase: "before" | "after") => void;
}

export interface WriterLimits {
  /** Transactions that share a commit, at most. */
  readonly transactions: number;
  /** No further transaction joins a commit that has been open for so long. */
  readonly openMs: number;
  /** A transaction that runs no statement for so long awaits something else than its `tx`; it is ended. */
  readonly idleMs: number;
}

interface Job {
  readonly run: (session: SqliteSession) => Promise<void>;
  readonly inPlace: () => boolean;
  readonly kept: () => void;
  readonly failed: (error: unknown) => void;
  /** Set after a shared commit failed: it is tried again by itself, so that one too large takes no others along. */
  alone: boolean;
}

interface Done {
  readonly job: Job;
  readonly touched: ReadonlySet<Topic>;
}

/**
 * Runs transactions one at a time on the one connection that writes. Those that wait share one commit, each in its own
 * savepoint: one flush to the disk serves them all, and one that throws is undone alone.
 */
export class Writer {
  readonly #deps: WriterDeps;
  readonly #waiting: Job[] = [];
  #working: Promise<void> | null = null;
  #commits = 0;
  /** Rows changed by all commits so far. */
  #changes: number;
  /** What the last commit took. */
  #commitMs = 0;
  #yieldedAt = 0;
  #hasTurned = true;

  #watched: { readonly session: SqliteSession; seen: number; readonly end: () => void } | null =
    null;
  readonly #unwatch: () => void;

  constructor(deps: WriterDeps) {
    this.#deps = deps;
    this.#changes = deps.connection.totalChanges();
    this.#unwatch = this.#watch();
  }

  /** Runs `fn` in a transaction of its own and resolves after the commit. */
  run<T>(
    fn: (session: SqliteSession) => Promise<T>,
    { inPlace = no }: Pick<TransactOptions, "inPlace"> = {},
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let result: { readonly value: T } | undefined;
      this.#waiting.push({
        run: async (session) => {
          result = { value: await within(session, () => fn(session)) };
        },
        inPlace,
        kept: () => {
          if (result !== undefined) resolve(result.value);
        },
        failed: reject,
        alone: false,
      });
      this.#working ??= this.#work();
    });
  }

  /** Commits so far. */
  get commits(): number {
    return this.#commits;
  }

  /** Resolves when no transaction is under way or waits. */
  async idle(): Promise<void> {
    while (this.#working !== null) await this.#working;
  }

  async #work(): Promise<void> {
    // The first callers of this turn join the first commit.
    await Promise.resolve();
    let last = 1;
    if (this.#hasTurned) this.#yieldedAt = performance.now();
    while (this.#waiting.length > 0) {
      // Callers woken by the last commit get the chance to come again before the next one, and the event loop its turn.
      if (last > 1 || performance.now() - this.#yieldedAt > this.#deps.limits.openMs) {
        await turn();
        this.#yieldedAt = performance.now();
      }
      last = await this.#batch();
      this.#watchTurns();
      // Those who were woken run before this decides whether anybody waits.
      for (let n = 0; n < 4 && this.#waiting.length === 0; n += 1) await Promise.resolve();
    }
    this.#working = null;
  }

  /** Who comes when the event loop has turned since the last commit, need not wait until it has its turn. */
  #watchTurns(): void {
    if (!this.#hasTurned) return;
    this.#hasTurned = false;
    setImmediate(() => {
      this.#hasTurned = true;
    });
  }

  /** One commit. Says how many transactions it kept. */
  async #batch(): Promise<number> {
    const { connection, limits } = this.#deps;
    try {
      connection.change("begin immediate", []);
    } catch (error) {
      this.#failAll(this.#waiting.splice(0), error);
      return 0;
    }
    const done: Done[] = [];
    // One by itself needs no savepoint, which would copy every page that it changes.
    const single = this.#waiting.length === 1 || this.#waiting[0]?.alone === true;
    const most = single ? 1 : limits.transactions;
    const isOver = this.#measure();
    let isEarly = false;
    for (let n = 0; n < most && !isOver(n); n += 1) {
      const [job] = this.#waiting;
      if (job === undefined || (job.alone && !single)) break;
      this.#waiting.shift();
      const outcome = single ? await this.#runSingle(job) : await this.#runInSavepoint(job);
      if (outcome === "lost") {
        this.#tryAgain(done, job);
        return 0;
      }
      if (outcome === "early") {
        // It keeps its turn: nobody behind it has run yet.
        this.#waiting.unshift(job);
        isEarly = true;
        break;
      }
      if (outcome !== "undone") done.push({ job, touched: outcome });
    }
    this.#commit(done);
    if (isEarly) await this.#loadBuilder();
    return done.length;
  }

  /**
   * When a commit has taken in enough: half of those who wait, and as many more as are done in the time that a commit takes.
   * Those whom it wakes go on while the others are worked off. With all in one commit, steps that began together would end
   * together for ever, and each would wait for all; and where commits are slow, more share one.
   */
  #measure(): (n: number) => boolean {
    const { openMs } = this.#deps.limits;
    const begun = performance.now();
    const enough = this.#waiting.length / 2;
    return (n) => {
      const tookMs = performance.now() - begun;
      return tookMs >= openMs || (n >= enough && tookMs >= this.#commitMs);
    };
  }

  async #loadBuilder(): Promise<void> {
    try {
      await this.#deps.builder.load();
    } catch (error) {
      this.#failAll(this.#waiting.splice(0, 1), error);
    }
  }

  #session({ inPlace }: Job): SqliteSession {
    return new SqliteSession(this.#deps, { locks: writerLocks(), mayClaimInPlace: inPlace() });
  }

  /** `undone`: it threw, and nothing of it is kept. `early`: the same, and it is to run again. */
  async #runSingle(job: Job): Promise<ReadonlySet<Topic> | "undone" | "early"> {
    const session = this.#session(job);
    try {
      await this.#limited(job, session);
      return session.touched;
    } catch (error) {
      this.#deps.connection.undo();
      return failedAs(job, error);
    } finally {
      session.close();
    }
  }

  /** `undone` and `early`: rolled back alone. `lost`: SQLite has rolled all of the commit back, as a full disk may. */
  async #runInSavepoint(job: Job): Promise<ReadonlySet<Topic> | "undone" | "early" | "lost"> {
    const { connection } = this.#deps;
    const session = this.#session(job);
    try {
      connection.change("savepoint job", []);
      await this.#limited(job, session);
      connection.change("release job", []);
      return session.touched;
    } catch (error) {
      if (!connection.inTransaction) return "lost";
      connection.change("rollback to job", []);
      connection.change("release job", []);
      return failedAs(job, error);
    } finally {
      session.close();
    }
  }

  #commit(done: readonly Done[]): void {
    const { connection, onCommit, committed } = this.#deps;
    const before = this.#changes;
    this.#changes = connection.totalChanges();
    if (done.length === 0) return connection.undo();
    // Of what changed nothing, such as a look for work, nothing goes to the disk, and it is no commit.
    const hasChanged = this.#changes !== before;
    if (hasChanged) onCommit((this.#commits += 1), "before");
    const begun = performance.now();
    try {
      connection.change("commit", []);
      if (hasChanged) this.#commitMs = performance.now() - begun;
    } catch (error) {
      connection.undo();
      if (done.length === 1)
        this.#failAll(
          done.map((each) => each.job),
          error,
        );
      else this.#tryAgain(done, null);
      return;
    }
    if (hasChanged) onCommit(this.#commits, "after");
    const touched = new Set<Topic>();
    for (const each of done) {
      each.job.kept();
      for (const topic of each.touched) touched.add(topic);
    }
    committed(touched);
  }

  #tryAgain(done: readonly Done[], job: Job | null): void {
    const again = [...done.map((each) => each.job), ...(job === null ? [] : [job])];
    for (const each of again) each.alone = true;
    this.#waiting.unshift(...again);
  }

  #failAll(jobs: readonly Job[], error: unknown): void {
    for (const job of jobs) job.failed(translate(error));
  }

  /** Ends the wait for a transaction that awaits something that is not its `tx`; it would hold up the store for ever. */
  async #limited(job: Job, session: SqliteSession): Promise<void> {
    const { idleMs } = this.#deps.limits;
    const { promise, reject } = Promise.withResolvers<never>();
    this.#watched = { session, seen: 0, end: () => reject(awaitsElsewhere(idleMs)) };
    try {
      await Promise.race([job.run(session), promise]);
      this.#deps.builder.refuseEarly();
    } finally {
      this.#watched = null;
    }
  }

  /** Looks now and then whether the transaction under way has run a statement since. */
  #watch(): () => void {
    const timer = setInterval(() => {
      const watched = this.#watched;
      if (watched === null) return;
      if (watched.session.steps === watched.seen) watched.end();
      else watched.seen = watched.session.steps;
    }, this.#deps.limits.idleMs);
    timer.unref();
    return () => clearInterval(timer);
  }

  /** Stops looking after transactions. Call it when idle. */
  close(): void {
    this.#unwatch();
  }
}

const no = (): boolean => false;

function failedAs(job: Job, error: unknown): "undone" | "early" {
  if (error instanceof AskedEarly) return "early";
  job.failed(translate(error));
  return "undone";
}

function awaitsElsewhere(idleMs: number): GlasshouseError {
  return new GlasshouseError(
    "internal",
    `A transaction was ended because it ran no statement for ${idleMs} ms: it awaits something else than its tx. ` +
      "Do that before or after the transaction.",
  );
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
