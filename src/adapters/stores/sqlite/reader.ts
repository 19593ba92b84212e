import type { SearchTx } from "../../../ports/store.ts";
import { translate } from "./errors.ts";
import { AskedEarly } from "./late-builder.ts";
import type { LateTx } from "./late-tx.ts";
import { SqliteSession } from "./session.ts";
import type { SessionDeps } from "./session.ts";
import { within } from "../sql/transaction-context.ts";

export interface ReaderDeps extends SessionDeps {
  readonly tx: LateTx;
}

/**
 * Reads on the connection that cannot write. Reads that overlap share a snapshot as long as nothing was committed since
 * it was taken; one that comes after a commit waits for them and takes a new one.
 */
export class Reader {
  readonly #deps: ReaderDeps;
  readonly #commits: () => number;
  #snapshot: {
    readonly commits: number;
    users: number;
    readonly over: Promise<void>;
    readonly end: () => void;
  } | null = null;

  constructor(deps: ReaderDeps, commits: () => number) {
    this.#deps = deps;
    this.#commits = commits;
  }

  read<T>(fn: (tx: SearchTx) => Promise<T>): Promise<T> {
    return this.run(async (session) => {
      const make = this.#deps.tx.loaded ?? (await this.#deps.tx.load());
      return fn(make(session));
    });
  }

  async run<T>(fn: (session: SqliteSession) => Promise<T>): Promise<T> {
    await this.#enter();
    try {
      return await this.#run(fn);
    } catch (error) {
      if (!(error instanceof AskedEarly)) throw translate(error);
      await this.#deps.builder.load();
      return await this.#run(fn);
    } finally {
      this.#leave();
    }
  }

  async #run<T>(fn: (session: SqliteSession) => Promise<T>): Promise<T> {
    const session = new SqliteSession(this.#deps);
    try {
      const value = await within(session, () => fn(session));
      this.#deps.builder.refuseEarly();
      return value;
    } finally {
      session.close();
    }
  }

  /** Resolves when nobody reads. */
  async idle(): Promise<void> {
    while (this.#snapshot !== null) await this.#snapshot.over;
  }

  async #enter(): Promise<void> {
    while (this.#snapshot !== null && this.#snapshot.commits !== this.#commits()) {
      await this.#snapshot.over;
    }
    if (this.#snapshot === null) {
      this.#deps.connection.change("begin", []);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#snapshot = { commits: this.#commits(), users: 0, over: promise, end: resolve };
    }
    this.#snapshot.users += 1;
  }

  #leave(): void {
    const snapshot = this.#snapshot;
    if (snapshot === null) return;
    snapshot.users -= 1;
    if (snapshot.users > 0) return;
    this.#snapshot = null;
    if (this.#deps.connection.database.isTransaction) this.#deps.connection.change("commit", []);
    snapshot.end();
  }
}
