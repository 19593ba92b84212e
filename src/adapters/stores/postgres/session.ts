import type { Kysely } from "kysely";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { IdKind } from "../../../domain/id.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { Topic } from "../../../ports/store.ts";
import type { Locks } from "../sql/locks.ts";
import type { Cell, Dialect, Session, Statement } from "../sql/session.ts";
import type { Tables } from "../sql/tables.ts";
import type { Answer } from "../../../clients/postgres/connection.ts";
import { prepared } from "../../../clients/postgres/statement-text.ts";
import { databaseTime } from "./database-time.ts";
import type { QueryBuilder } from "./kysely-dialect.ts";
import type { Transaction } from "./transaction.ts";
import type { GivesWay } from "./write-locks.ts";

export interface SessionDeps {
  readonly transaction: Transaction;
  /** Stands for this one among those who use the transaction. */
  readonly by: object;
  readonly mayClaimInPlace: boolean;
  readonly builder: QueryBuilder;
  readonly dialect: Dialect;
  readonly clock: Pick<Clock, "id">;
}

const now = `select ${databaseTime} as "now"`;

/** One caller's transaction: alone in one of the database, or in a savepoint of one that others are in too. */
export class PostgresSession implements Session {
  readonly touched = new Set<Topic>();
  readonly #deps: SessionDeps;
  readonly locks: Locks;
  #isOpen = true;
  #gaveWay: GivesWay | null = null;
  #fault: { readonly error: unknown } | null = null;
  readonly #unsure: Promise<void>[] = [];
  readonly #telling: Promise<void>[] = [];
  #steps = 0;
  #wrote = false;

  constructor(deps: SessionDeps, locks: (giveWay: (why: GivesWay) => never) => Locks) {
    this.#deps = deps;
    this.locks = locks((why) => {
      this.#gaveWay = why;
      throw why;
    });
    deps.builder.use(this);
  }

  get transaction(): object {
    return this.#deps.transaction;
  }

  get mayClaimInPlace(): boolean {
    return this.#deps.mayClaimInPlace;
  }

  /** Whether it asked for anything to be changed. */
  get hasWritten(): boolean {
    return this.#wrote;
  }

  get open(): boolean {
    return this.#isOpen;
  }

  /** Why it is to run again; whatever it did or threw since counts for nothing. */
  get gaveWay(): GivesWay | null {
    return this.#gaveWay;
  }

  /** Statements so far, and whether one is being answered: tells one that works from one that waits for something else. */
  get steps(): number {
    return this.#steps;
  }

  get isBusy(): boolean {
    return this.#deps.transaction.isBusy;
  }

  get db(): Kysely<Tables> {
    this.#use();
    return this.#deps.builder.db;
  }

  get dialect(): Dialect {
    return this.#deps.dialect;
  }

  /** Sends a statement of the query builder. */
  async query<R>(sql: string, values: readonly Cell[]): Promise<Answer<R>> {
    return this.#send<R>(sql, values);
  }

  async all<R>(kept: Statement<R>, ...parameters: readonly Cell[]): Promise<readonly R[]> {
    return (await this.query<R>(kept.sql, parameters)).rows;
  }

  async one<R>(kept: Statement<R>, ...parameters: readonly Cell[]): Promise<R | undefined> {
    return (await this.query<R>(kept.sql, parameters)).rows[0];
  }

  async change(kept: Statement<unknown>, ...parameters: readonly Cell[]): Promise<number> {
    return (await this.query(kept.sql, parameters)).count;
  }

  async run(kept: Statement<unknown>, ...parameters: readonly Cell[]): Promise<void> {
    // Its error is that of what is awaited next, and of the commit.
    this.#send(kept.sql, parameters).catch(() => {});
  }

  async runThen<R>(
    kept: Statement<R>,
    then: (rows: readonly R[]) => void,
    ...parameters: readonly Cell[]
  ): Promise<void> {
    const told = this.#send<R>(kept.sql, parameters).then(
      ({ rows }) => then(rows),
      // It is the error of what is awaited next, and of the commit.
      () => {},
    );
    this.#telling.push(told);
  }

  /** Of rows that somebody is to be given still: a commit that went out with the question may be answered before. */
  get telling(): readonly Promise<void>[] {
    return this.#telling;
  }

  async sure(outcome: Promise<void>): Promise<void> {
    // Nobody ensures it any more.
    if (!this.#isOpen) return outcome;
    const seen = outcome.catch((error: unknown) => {
      this.#fault ??= { error };
    });
    this.#unsure.push(seen);
  }

  /** Resolves when all that must come out well has. Errors: the first of those that did not. */
  async ensured(): Promise<void> {
    await Promise.all(this.#unsure);
    if (this.#fault !== null) throw this.#fault.error;
  }

  touch(topic: Topic): void {
    this.touched.add(topic);
  }

  id(kind: IdKind): string {
    return this.#deps.clock.id(kind);
  }

  async time(): Promise<string> {
    const { rows } = await this.query<{ readonly now: string }>(now, []);
    return rows[0]?.now ?? "";
  }

  /** Waits for the answers to what was sent: memory stays bounded however much is inserted. */
  async pause(): Promise<void> {
    await this.#deps.transaction.settled();
    this.#use();
  }

  /** Whoever still holds it gets an error, not another's transaction. */
  close(): void {
    this.#isOpen = false;
    this.#deps.builder.leave();
  }

  #send<R>(sql: string, values: readonly Cell[]): Promise<Answer<R>> {
    this.#use();
    if (prepared(sql).writes) this.#wrote = true;
    return this.#deps.transaction.send<R>(sql, values, this.#deps.by);
  }

  #use(): void {
    this.#steps += 1;
    if (this.#gaveWay !== null) throw this.#gaveWay;
    if (this.#fault !== null) throw this.#fault.error;
    if (this.#isOpen) return;
    throw new GlasshouseError(
      "internal",
      "A transaction was used after it had ended: something in it was not awaited.",
    );
  }
}
