import type { Kysely } from "kysely";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { IdKind } from "../../../domain/id.ts";
import { timestamp } from "../../../ports/clock.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { Topic } from "../../../ports/store.ts";
import { noLocks, type Locks } from "../sql/locks.ts";
import type { Cell, Dialect, Session, Statement } from "../sql/session.ts";
import type { Tables } from "../sql/tables.ts";
import type { Connection } from "./connection.ts";
import type { LateBuilder } from "./late-builder.ts";

export interface SessionDeps {
  readonly connection: Connection;
  readonly builder: LateBuilder;
  readonly dialect: Dialect;
  readonly clock: Pick<Clock, "id" | "now">;
}

type SessionOptions = Pick<Session, "locks" | "mayClaimInPlace">;

/** One transaction on a connection that it shares with those before and after it. */
export class SqliteSession implements Session {
  readonly touched = new Set<Topic>();
  readonly locks: Locks;
  readonly transaction = this;
  readonly mayClaimInPlace: boolean;
  readonly #deps: SessionDeps;
  #open = true;
  /** Statements so far: tells a transaction that works from one that waits for something else. */
  #steps = 0;

  constructor(deps: SessionDeps, how: SessionOptions = { locks: noLocks, mayClaimInPlace: false }) {
    this.#deps = deps;
    this.locks = how.locks;
    this.mayClaimInPlace = how.mayClaimInPlace;
  }

  get open(): boolean {
    return this.#open;
  }

  get steps(): number {
    return this.#steps;
  }

  get db(): Kysely<Tables> {
    this.#use();
    return this.#deps.builder.of(this.#deps.connection);
  }

  get dialect(): Dialect {
    return this.#deps.dialect;
  }

  async all<R>(kept: Statement<R>, ...parameters: readonly Cell[]): Promise<readonly R[]> {
    this.#use();
    return this.#deps.connection.all<R>(kept.sql, parameters);
  }

  async one<R>(kept: Statement<R>, ...parameters: readonly Cell[]): Promise<R | undefined> {
    this.#use();
    return this.#deps.connection.all<R>(kept.sql, parameters)[0];
  }

  async change(kept: Statement<unknown>, ...parameters: readonly Cell[]): Promise<number> {
    this.#use();
    return this.#deps.connection.change(kept.sql, parameters);
  }

  async run(kept: Statement<unknown>, ...parameters: readonly Cell[]): Promise<void> {
    this.#use();
    this.#deps.connection.change(kept.sql, parameters);
  }

  async runThen<R>(
    kept: Statement<R>,
    then: (rows: readonly R[]) => void,
    ...parameters: readonly Cell[]
  ): Promise<void> {
    then(await this.all(kept, ...parameters));
  }

  sure(outcome: Promise<void>): Promise<void> {
    return outcome;
  }

  touch(topic: Topic): void {
    this.touched.add(topic);
  }

  id(kind: IdKind): string {
    return this.#deps.clock.id(kind);
  }

  async time(): Promise<string> {
    return timestamp(this.#deps.clock);
  }

  async pause(): Promise<void> {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    this.#use();
  }

  /** Ends the use of the connection: whoever still holds the transaction gets an error, not another's transaction. */
  close(): void {
    this.#open = false;
  }

  #use(): void {
    this.#steps += 1;
    if (this.#open) return;
    throw new GlasshouseError(
      "internal",
      "A transaction was used after it had ended: something in it was not awaited.",
    );
  }
}
