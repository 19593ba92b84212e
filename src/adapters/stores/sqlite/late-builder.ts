import type { Kysely } from "kysely";
import type { Tables } from "../sql/tables.ts";
import type { Connection } from "./connection.ts";

/** Thrown at a transaction that asks for the query builder before it is loaded; it is run again once that is done. */
export class AskedEarly extends Error {
  override readonly name = "AskedEarly";
}

/**
 * The query builder of each connection, loaded when a transaction first asks for it. It is a quarter of all files that the
 * program consists of, and a start gets by with kept statements.
 */
export class LateBuilder {
  #build: ((connection: Connection) => Kysely<Tables>) | null = null;
  readonly #made = new Map<Connection, Kysely<Tables>>();
  #isAsked = false;

  /** Throws `AskedEarly` until it is loaded. */
  of(connection: Connection): Kysely<Tables> {
    this.#isAsked = true;
    const known = this.#made.get(connection);
    if (known !== undefined) return known;
    if (this.#build === null) throw new AskedEarly();
    const made = this.#build(connection);
    this.#made.set(connection, made);
    return made;
  }

  async load(): Promise<void> {
    this.#build ??= (await import("./kysely-dialect.ts")).queryBuilder;
  }

  /** Call it at a transaction's end: one that caught the error and went on with half of what it wanted is not to be kept. */
  refuseEarly(): void {
    if (this.#isAsked && this.#build === null) throw new AskedEarly();
  }
}
