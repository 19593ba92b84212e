import { GlasshouseError } from "../../../domain/errors.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { ReadTx } from "../../../ports/store.ts";
import { noLocks } from "../sql/locks.ts";
import type { Dialect } from "../sql/session.ts";
import { within } from "../sql/transaction-context.ts";
import { SqlTx } from "../sql/tx.ts";
import { isStalePlan, sqlState, translate } from "../../../clients/postgres/errors.ts";
import type { QueryBuilders } from "./kysely-dialect.ts";
import type { Pool } from "../../../clients/postgres/pool.ts";
import { PostgresSession } from "./session.ts";
import { Transaction } from "./transaction.ts";

export interface ReaderDeps {
  readonly pool: Pool;
  readonly builders: QueryBuilders;
  readonly dialect: Dialect;
  readonly clock: Pick<Clock, "id">;
}

const writeInRead = "25006";

/** How often a read runs at most when the schema is changed under it. */
const mostTries = 3;

/** Reads of one snapshot each, in transactions that cannot write. */
export class Reader {
  readonly #deps: ReaderDeps;
  readonly #active = new Set<Promise<unknown>>();

  constructor(deps: ReaderDeps) {
    this.#deps = deps;
  }

  async read<T>(fn: (tx: ReadTx) => Promise<T>): Promise<T> {
    const reading = this.#untilRead(fn);
    const seen: Promise<unknown> = reading.catch(() => {}).finally(() => this.#active.delete(seen));
    this.#active.add(seen);
    return reading;
  }

  /** Resolves when nobody reads. */
  async idle(): Promise<void> {
    while (this.#active.size > 0) await Promise.all(this.#active);
  }

  async #untilRead<T>(fn: (tx: ReadTx) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#read(fn);
      } catch (error) {
        if (!isStalePlan(error) || tries >= mostTries) throw translate(error);
      }
    }
  }

  async #read<T>(fn: (tx: ReadTx) => Promise<T>): Promise<T> {
    const { pool, builders, dialect, clock } = this.#deps;
    const transaction = new Transaction({ pool, mode: "read", rooms: [] });
    const deps = { transaction, builder: builders.take(), dialect, clock };
    const session = new PostgresSession(deps, () => noLocks);
    try {
      return await within(session, () => fn(new SqlTx(session)));
    } catch (error) {
      if (sqlState(error) === writeInRead)
        throw new GlasshouseError("internal", "A read tried to write.", { cause: error });
      throw error;
    } finally {
      session.close();
      await transaction.leave().catch(() => {});
    }
  }
}
