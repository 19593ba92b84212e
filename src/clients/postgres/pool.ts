import { StoreFault } from "../../domain/errors.ts";
import type { Connection } from "./connection.ts";

export interface PoolOptions {
  readonly size: number;
  /** How long one waits for a connection before it is told to come again later. */
  readonly waitMs: number;
  /** A connection on which something was asked and nothing was heard for so long is given up. */
  readonly silentMs: number;
  readonly open: () => Promise<Connection>;
}

interface Waiting {
  readonly take: (connection: Connection) => void;
  readonly fail: (error: unknown) => void;
  readonly forget: () => void;
}

/** Connections for transactions: at most so many, opened when they are needed, used again as long as they live. */
export class Pool {
  readonly #options: PoolOptions;
  readonly #idle: Connection[] = [];
  readonly #all = new Set<Connection>();
  readonly #waiting: Waiting[] = [];
  #opening = 0;
  /** Connections that were opened before the last renewal, as long as they are in use. */
  readonly #old = new Set<Connection>();
  #renewals = 0;
  #drained: (() => void)[] = [];
  #closed = false;
  readonly #sweep: NodeJS.Timeout;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#sweep = setInterval(() => this.#giveUpSilent(), 1_000);
    this.#sweep.unref();
  }

  get size(): number {
    return this.#options.size;
  }

  /** Connections in use, and those who wait for one. */
  get load(): { readonly used: number; readonly waiting: number } {
    return { used: this.#all.size - this.#idle.length, waiting: this.#waiting.length };
  }

  /** Errors: `unavailable` when none got free in time, and what opening one says. */
  async acquire(): Promise<Connection> {
    if (this.#closed) throw closed();
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(this.#exhausted());
      }, this.#options.waitMs);
      const waiting: Waiting = {
        take: resolve,
        fail: reject,
        forget: () => clearTimeout(timer),
      };
      this.#waiting.push(waiting);
      this.#openMore();
    });
  }

  /** Lends a connection for as long as `fn` takes. Errors: those of `acquire` and of `fn`. */
  async with<T>(fn: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await this.acquire();
    try {
      return await fn(connection);
    } finally {
      this.release(connection);
    }
  }

  /** Gives a connection back. What was sent on it last may still be under way. */
  release(connection: Connection): void {
    if (connection.isLost || this.#closed || this.#old.has(connection))
      return this.discard(connection);
    const next = this.#waiting.shift();
    if (next === undefined) return void this.#idle.push(connection);
    next.forget();
    next.take(connection);
  }

  /** For a connection that is in no state to be used again. */
  discard(connection: Connection): void {
    this.#forget(connection);
    void connection.end();
    this.#openMore();
  }

  /** From now on none is lent that was opened before. Resolves when the last of those has come back and was ended. */
  async renew(): Promise<void> {
    this.#renewals += 1;
    for (const connection of this.#all) this.#old.add(connection);
    for (const connection of this.#idle.splice(0)) this.discard(connection);
    if (this.#old.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#drained.push(resolve);
    });
  }

  /** Ends the connections that are idle; those in use end when they are given back. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweep);
    for (const waiting of this.#waiting.splice(0)) {
      waiting.forget();
      waiting.fail(closed());
    }
    const all = [...this.#all];
    this.#all.clear();
    this.#forgetOld();
    this.#idle.length = 0;
    await Promise.all(all.map((connection) => connection.end()));
  }

  #openMore(): void {
    while (
      !this.#closed &&
      this.#waiting.length > this.#opening &&
      this.#all.size + this.#opening < this.#options.size
    ) {
      this.#opening += 1;
      void this.#openOne();
    }
  }

  async #openOne(): Promise<void> {
    const renewals = this.#renewals;
    try {
      const connection = await this.#options.open();
      this.#opening -= 1;
      if (renewals !== this.#renewals) {
        void connection.end();
        return this.#openMore();
      }
      this.#all.add(connection);
      connection.onLost(() => this.#forget(connection));
      this.release(connection);
    } catch (error) {
      this.#opening -= 1;
      // Each failure answers one who waits: it knows best whether to try again.
      const first = this.#waiting.shift();
      first?.forget();
      first?.fail(error);
      this.#openMore();
    }
  }

  #forget(connection: Connection): void {
    this.#all.delete(connection);
    if (this.#old.delete(connection) && this.#old.size === 0) this.#forgetOld();
    const index = this.#idle.indexOf(connection);
    if (index >= 0) this.#idle.splice(index, 1);
  }

  #forgetOld(): void {
    this.#old.clear();
    for (const wake of this.#drained.splice(0)) wake();
  }

  #giveUpSilent(): void {
    for (const connection of this.#all)
      if (connection.silentMs > this.#options.silentMs) connection.destroy();
  }

  #exhausted(): StoreFault {
    return new StoreFault(
      "unavailable",
      `All ${this.#options.size} connections to PostgreSQL were busy for ${this.#options.waitMs} ms: try again. ` +
        "When it stays so, raise store.pool (and max_connections of PostgreSQL).",
    );
  }
}

function closed(): StoreFault {
  return new StoreFault("unavailable", "The store is closed; the server is stopping.");
}
