import type { Cell } from "../sql/session.ts";
import type { Room } from "../sql/locks.ts";
import type { Answer, Connection } from "../../../clients/postgres/connection.ts";
import { ConnectionLost, faultKind, sqlState } from "../../../clients/postgres/errors.ts";
import type { Pool } from "../../../clients/postgres/pool.ts";
import { prepared } from "../../../clients/postgres/statement-text.ts";

export interface TransactionOptions {
  readonly pool: Pool;
  readonly mode: "write" | "read";
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

const begin = {
  // One statement sees what was committed before it; what must not move in between is held (sql/locks.ts).
  write: "begin isolation level read committed",
  // One snapshot for all of it.
  read: "begin isolation level repeatable read read only",
} as const;

/** Advisory locks of this product, beside others that may be in the same database: its name in ASCII, then a number. */
const lockSpace = 0x676c6173;
const roomNumbers: Readonly<Record<Room, number>> = { requirements: 1, templates: 2 };
export const migrationLock = `${lockSpace}, 3`;
export const pruneLock = `${lockSpace}, 4`;

export const markCommit = `insert into "commitMark" ("connection", "number", "closed", "at") values (?, ?, false, now())
   on conflict ("connection") do update
   set "number" = case when "commitMark"."closed" then -1 else excluded."number" end, "at" = excluded."at"`;
const failedBefore = "25P02";

interface Parcel {
  readonly go: (connection: Connection) => void;
  readonly fail: (error: unknown) => void;
}

/**
 * One transaction on one connection. It takes the connection with its first statement, so that one that gives way to
 * another before that costs none. Statements go out without waiting for answers; an error of one whose answer nobody
 * awaits is the error of the next, and of the commit.
 */
export class Transaction {
  readonly rooms: ReadonlySet<Room>;
  readonly #options: TransactionOptions;
  #connection: Connection | null = null;
  #parcels: Parcel[] | null = null;
  #opening: Promise<void> | null = null;
  readonly #unanswered = new Set<Promise<unknown>>();
  #failure: { readonly error: unknown } | null = null;
  #wrote = false;

  constructor(options: TransactionOptions) {
    this.#options = options;
    this.rooms = new Set(options.rooms);
  }

  /** Whether anything was sent. */
  get hasBegun(): boolean {
    return this.#connection !== null || this.#parcels !== null;
  }

  get hasWritten(): boolean {
    return this.#wrote;
  }

  /** Whether an answer is still to come: then it does not idle. */
  get isBusy(): boolean {
    return this.#parcels !== null || this.#unanswered.size > 0;
  }

  /** Sends a statement, in order of calls. Errors: `pg.DatabaseError`, `ConnectionLost`, those of the pool. */
  send<R>(sql: string, values: readonly Cell[] = []): Promise<Answer<R>> {
    if (prepared(sql).writes) this.#wrote = true;
    if (this.#connection !== null) return this.#sendOn<R>(this.#connection, sql, values);
    return new Promise<Answer<R>>((resolve, reject) => {
      const parcel: Parcel = {
        go: (connection) => resolve(this.#sendOn<R>(connection, sql, values)),
        fail: reject,
      };
      if (this.#parcels === null) {
        this.#parcels = [parcel];
        this.#opening = this.#open();
      } else this.#parcels.push(parcel);
    });
  }

  /** As `send`, for a statement of which nothing is asked. */
  post(sql: string, values: readonly Cell[] = []): void {
    this.send(sql, values).catch(() => {});
  }

  /** Resolves when everything that was sent has been answered. Errors: the first that there was. */
  async settled(): Promise<void> {
    await this.#opening;
    while (this.#unanswered.size > 0) await Promise.allSettled(this.#unanswered);
    if (this.#failure !== null) throw this.#failure.error;
  }

  /** Errors: the first of the transaction; `UnknownCommit` when it may have taken effect. Then nothing is left to undo. */
  async commit(): Promise<void> {
    await this.#opening;
    const connection = this.#connection;
    if (this.#failure !== null) throw this.#failure.error;
    if (connection === null) return;
    if (!this.#wrote) return this.leave();
    const name: CommitMark = { connection: connection.id, number: connection.nextCommit() };
    this.post(markCommit, [name.connection, name.number]);
    let answer: Answer<unknown>;
    try {
      answer = await connection.query("commit");
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
    this.#connection?.owe("commit");
    const failure = this.#failure;
    this.#giveBack();
    if (failure !== null) throw failure.error;
  }

  /** Undoes it. Never throws: a connection that cannot even do that is given up, and the server undoes it. */
  async rollback(): Promise<void> {
    await this.#opening;
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
    const parcels = this.#parcels ?? [];
    try {
      const connection = await this.#options.pool.acquire();
      void this.#track(connection.query(begin[this.#options.mode]));
      for (const room of [...this.rooms].toSorted())
        void this.#track(
          connection.query(`select pg_advisory_xact_lock(${lockSpace}, ${roomNumbers[room]})`),
        );
      this.#parcels = null;
      this.#connection = connection;
      for (const parcel of parcels) parcel.go(connection);
    } catch (error) {
      this.#failure ??= { error };
      this.#parcels = null;
      for (const parcel of parcels) parcel.fail(error);
    }
  }

  async #sendOn<R>(
    connection: Connection,
    sql: string,
    values: readonly Cell[],
  ): Promise<Answer<R>> {
    try {
      return await this.#track(connection.query<R>(sql, values));
    } catch (error) {
      // What failed first is the reason; all that follows only says that something had.
      if (sqlState(error) === failedBefore && this.#failure !== null) throw this.#failure.error;
      throw error;
    }
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
