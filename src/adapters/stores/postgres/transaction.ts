import type { Cell } from "../sql/session.ts";
import type { Room } from "../sql/locks.ts";
import type { Answer, Connection } from "../../../clients/postgres/connection.ts";
import { ConnectionLost, faultKind } from "../../../clients/postgres/errors.ts";
import type { Pool } from "../../../clients/postgres/pool.ts";
import { prepared } from "../../../clients/postgres/statement-text.ts";
import { Packing } from "./packing.ts";

export interface TransactionOptions {
  readonly pool: Pool;
  readonly mode: "write" | "brief" | "read";
  /** Entered at its beginning, in order of their names, so that no two transactions wait for each other. */
  readonly rooms: readonly Room[];
}

/** Names a commit, so that it can be asked afterwards whether it took effect. */
export interface CommitMark {
  readonly connection: string;
  readonly number: number;
}

/** The connection was lost while it committed: whether it took effect must be asked before anything else is done. */
export class UnknownCommit extends Error {
  readonly mark: CommitMark;

  constructor(mark: CommitMark, cause: unknown) {
    super("The connection was lost during a commit", { cause });
    this.mark = mark;
  }
}

// One statement sees what was committed before it; what must not move in between is held (sql/locks.ts).
const beginWriting = "begin isolation level read committed";
/**
 * The statements of brief ones find their rows by ids, whatever the values: planning them anew for these can cost more than
 * running them. And whatever the server believes of the tables: while they were never analyzed it takes them for small enough
 * to be read as a whole, and keeps to that while they grow.
 */
const findByIds = `select ${[
  ["plan_cache_mode", "force_generic_plan"],
  ["enable_seqscan", "off"],
  ["enable_hashjoin", "off"],
  ["enable_mergejoin", "off"],
]
  .map(([name, value]) => `set_config('${name}', '${value}', true)`)
  .join(", ")}`;
const begin = {
  write: [beginWriting],
  brief: [beginWriting, findByIds],
  // One snapshot for all of it.
  read: ["begin isolation level repeatable read read only"],
} as const;

/** Advisory locks of this product, beside others that may be in the same database: its name in ASCII, then a number. */
const lockSpace = 0x676c6173;
const roomNumbers: Readonly<Record<Room, number>> = { requirements: 1, templates: 2 };
export const migrationLock = `${lockSpace}, 3`;
export const pruneLock = `${lockSpace}, 4`;

export const markCommit = `insert into "commitMark" ("connection", "number", "closed", "at") values (?, ?, false, now())
   on conflict ("connection") do update
   set "number" = case when "commitMark"."closed" then -1 else excluded."number" end, "at" = excluded."at"`;

/**
 * One transaction on one connection. It takes the connection with its first statement, so that one that gives way to
 * another before that costs none. Statements of one turn of the event loop go out together, without waiting for answers; an
 * error of one whose answer nobody awaits is the error of the next, and of the commit.
 */
export class Transaction {
  readonly rooms: ReadonlySet<Room>;
  readonly #options: TransactionOptions;
  #connection: Connection | null = null;
  readonly #packing = new Packing();
  #isSendingSoon = false;
  #opening: Promise<void> | null = null;
  readonly #unanswered = new Set<Promise<unknown>>();
  #failure: { readonly error: unknown } | null = null;
  #wrote = false;

  constructor(options: TransactionOptions) {
    this.#options = options;
    this.rooms = new Set(options.rooms);
  }

  /** Whether a statement failed that no savepoint undid: nothing can be done in it any more. */
  get hasFailed(): boolean {
    return this.#failure !== null;
  }

  get hasWritten(): boolean {
    return this.#wrote;
  }

  /** Whether an answer is still to come: then it does not idle. */
  get isBusy(): boolean {
    return !this.#packing.isEmpty || this.#unanswered.size > 0;
  }

  /**
   * Sends a statement, in order of calls by the same one; several may use the transaction at once, each in its own order.
   * Errors: `pg.DatabaseError`, `ConnectionLost`, those of the pool. Rows are trusted to be what the statement's author said.
   */
  send<R>(sql: string, values?: readonly Cell[], by?: object): Promise<Answer<R>>;
  send(sql: string, values: readonly Cell[] = [], by: object = this): Promise<Answer<unknown>> {
    if (prepared(sql).writes) this.#wrote = true;
    // Where nothing is changed, questions have no order that matters.
    const asker = this.#options.mode === "read" ? {} : by;
    const answer = this.#packing.add(asker, sql, values);
    this.#opening ??= this.#open();
    if (!this.#isSendingSoon) {
      this.#isSendingSoon = true;
      process.nextTick(() => this.#sendWaiting());
    }
    return answer;
  }

  /** Resolves when everything that was sent has been answered. Errors: the first that there was. */
  async settled(): Promise<void> {
    await this.#opening;
    this.#sendWaiting();
    while (this.#unanswered.size > 0) await Promise.allSettled(this.#unanswered);
    if (this.#failure !== null) throw this.#failure.error;
  }

  /** Errors: the first of the transaction; `UnknownCommit` when it may have taken effect. Then nothing is left to undo. */
  async commit(): Promise<void> {
    await this.#opening;
    this.#sendWaiting();
    const connection = this.#connection;
    if (this.#failure !== null) throw this.#failure.error;
    if (connection === null) return;
    if (!this.#wrote) return this.leave();
    const name: CommitMark = { connection: connection.id, number: connection.nextCommit() };
    this.#track(connection.within(markCommit, [name.connection, name.number])).catch(() => {});
    let answer: Answer<unknown>;
    try {
      answer = await connection.within("commit");
    } catch (error) {
      if (faultKind(error) !== "lost") throw error;
      this.#giveBack();
      throw new UnknownCommit(name, error);
    }
    // The server answers so when a statement before had failed.
    if (answer.command !== "COMMIT") throw this.#firstFault() ?? new Error("It was rolled back");
    this.#giveBack();
  }

  /** Ends one of which nothing is to be kept, without waiting for the answer. */
  async leave(): Promise<void> {
    await this.#opening;
    this.#sendWaiting();
    this.#connection?.owe("commit");
    const failure = this.#failure;
    this.#giveBack();
    if (failure !== null) throw failure.error;
  }

  /** Undoes it. Never throws: a connection that cannot even do that is given up, and the server undoes it. */
  async rollback(): Promise<void> {
    await this.#opening;
    this.#sendWaiting();
    const connection = this.#connection;
    if (connection === null) return;
    try {
      if (!connection.isLost) await connection.query("rollback");
    } catch {
      connection.destroy();
    }
    this.#giveBack();
  }

  async #open(): Promise<void> {
    try {
      const connection = await this.#options.pool.acquire();
      for (const sql of begin[this.#options.mode]) void this.#track(connection.within(sql));
      for (const room of [...this.rooms].toSorted())
        void this.#track(
          connection.within(`select pg_advisory_xact_lock(${lockSpace}, ${roomNumbers[room]})`),
        );
      this.#connection = connection;
    } catch (error) {
      this.#failure ??= { error };
      this.#packing.refuseAll(error);
    }
    if (!this.#isSendingSoon) this.#sendWaiting();
  }

  #sendWaiting(): void {
    this.#isSendingSoon = false;
    const connection = this.#connection;
    if (connection !== null)
      this.#packing.sendAll(
        (sql, values) => this.#track(connection.within(sql, values)),
        // What failed first is the reason; all that follows only says that something had.
        (error) => this.#failure?.error ?? error,
      );
    // It never began: whoever still asks is told why.
    else if (this.#failure !== null) this.#packing.refuseAll(this.#failure.error);
  }

  #track<T>(answer: Promise<T>): Promise<T> {
    const seen: Promise<unknown> = answer.then(
      () => this.#unanswered.delete(seen),
      (error: unknown) => {
        this.#unanswered.delete(seen);
        this.#failure ??= { error };
      },
    );
    this.#unanswered.add(seen);
    return answer;
  }

  /** For errors that a savepoint undid. */
  forgiveFailure(): void {
    if (!(this.#failure?.error instanceof ConnectionLost)) this.#failure = null;
  }

  #firstFault(): unknown {
    return this.#failure?.error;
  }

  #giveBack(): void {
    const connection = this.#connection;
    this.#connection = null;
    if (connection !== null) this.#options.pool.release(connection);
  }
}
