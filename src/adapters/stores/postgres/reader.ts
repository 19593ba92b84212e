import { GlasshouseError } from "../../../domain/errors.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { SearchTx } from "../../../ports/store.ts";
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

/** How often a read runs at most when the schema is changed under it, or another one has spoilt the transaction. */
const mostTries = 3;

/** A transaction that reads of one turn of the event loop share. */
interface Shared {
  readonly transaction: Transaction;
  /** Under way. */
  reads: number;
  /** Nobody else has read in it. */
  isAlone: boolean;
}

/**
 * Reads of one snapshot each, in transactions that cannot write. Those that begin in the same turn of the event loop, when
 * nothing has been sent yet, share one.
 */
export class Reader {
  readonly #deps: ReaderDeps;
  readonly #active = new Set<Promise<unknown>>();
  #gathering: Shared | null = null;

  constructor(deps: ReaderDeps) {
    this.#deps = deps;
  }

  read<T>(fn: (tx: SearchTx) => Promise<T>): Promise<T> {
    return this.run((session) => fn(new SqlTx(session)));
  }

  async run<T>(fn: (session: PostgresSession) => Promise<T>): Promise<T> {
    const reading = this.#untilRead(fn);
    const seen: Promise<unknown> = reading.catch(() => {}).finally(() => this.#active.delete(seen));
    this.#active.add(seen);
    return reading;
  }

  /** Resolves when nobody reads. */
  async idle(): Promise<void> {
    while (this.#active.size > 0) await Promise.all(this.#active);
  }

  async #untilRead<T>(fn: (session: PostgresSession) => Promise<T>): Promise<T> {
    let shared = this.#join();
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#readIn(shared, fn);
      } catch (error) {
        const isSpoilt = shared.transaction.hasFailed && !shared.isAlone;
        if (!(isSpoilt || isStalePlan(error)) || tries >= mostTries) throw translate(error);
        shared = this.#begin();
      }
    }
  }

  #join(): Shared {
    if (this.#gathering !== null) {
      this.#gathering.isAlone = false;
      return this.#gathering;
    }
    const begun = this.#begin();
    this.#gathering = begun;
    process.nextTick(() => {
      if (this.#gathering === begun) this.#gathering = null;
    });
    return begun;
  }

  #begin(): Shared {
    const transaction = new Transaction({ pool: this.#deps.pool, mode: "read", rooms: [] });
    return { transaction, reads: 0, isAlone: true };
  }

  async #readIn<T>(shared: Shared, fn: (session: PostgresSession) => Promise<T>): Promise<T> {
    const { builders, dialect, clock } = this.#deps;
    const { transaction } = shared;
    const deps = {
      transaction,
      by: {},
      mayClaimInPlace: false,
      builder: builders.take(),
      dialect,
      clock,
    };
    const session = new PostgresSession(deps, () => noLocks);
    shared.reads += 1;
    try {
      const value = await within(session, () => fn(session));
      await session.ensured();
      return value;
    } catch (error) {
      if (sqlState(error) === writeInRead)
        throw new GlasshouseError("internal", "A read tried to write.", { cause: error });
      throw error;
    } finally {
      session.close();
      shared.reads -= 1;
      if (shared.reads === 0) {
        if (this.#gathering === shared) this.#gathering = null;
        await transaction.leave().catch(() => {});
      }
    }
  }
}
