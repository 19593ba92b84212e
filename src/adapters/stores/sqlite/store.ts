import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { GlasshouseError } from "../../../domain/errors.ts";
import { timestamp } from "../../../ports/clock.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { ReadTx, Store, StoreHealth, Topic, Tx } from "../../../ports/store.ts";
import type { Log } from "../../../ports/telemetry.ts";
import type { Dialect } from "../sql/session.ts";
import { Connection } from "./connection.ts";
import { queryBuilder } from "./kysely-dialect.ts";
import { lockDirectory } from "./lock.ts";
import type { DirectoryLock } from "./lock.ts";
import { migrate } from "./migrate.ts";
import { Reader } from "./reader.ts";
import { Topics } from "./topics.ts";
import { refuseInside } from "./transaction-context.ts";
import { Writer } from "./writer.ts";
import type { WriterLimits } from "./writer.ts";

export interface SqliteStoreOptions {
  /** Holds the database, its lock and its backups. Made when missing, for its owner alone. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits?: Partial<WriterLimits>;
  /** Called around the n-th commit, from 1, so that a crash test can end the process there. */
  readonly onCommit?: (n: number, phase: "before" | "after") => void;
  /** For tests that show what the fence is for. */
  readonly unsafeWithoutFence?: boolean;
}

export const sqliteDefaults: WriterLimits = { transactions: 256, openMs: 5, idleMs: 10_000 };

export async function createSqliteStore(options: SqliteStoreOptions): Promise<SqliteStore> {
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  const lock = await lockDirectory(options.directory);
  const opened: Connection[] = [];
  try {
    const file = join(options.directory, "glasshouse.db");
    const writing = new Connection(file, "write");
    opened.push(writing);
    migrate(writing, {
      log: options.log,
      now: timestamp(options.clock),
      backUp: () => {},
    });
    const reading = new Connection(file, "read");
    opened.push(reading);
    return new SqliteStore({ options, lock, writing, reading });
  } catch (error) {
    for (const connection of opened) connection.close();
    lock.release();
    throw error;
  }
}

interface Parts {
  readonly options: SqliteStoreOptions;
  readonly lock: DirectoryLock;
  readonly writing: Connection;
  readonly reading: Connection;
}

/** The store of one process in one file. */
export class SqliteStore implements Store {
  readonly #parts: Parts;
  readonly #topics = new Topics();
  readonly #writer: Writer;
  readonly #reader: Reader;
  #closing: Promise<void> | null = null;

  constructor(parts: Parts) {
    this.#parts = parts;
    const { options, writing, reading } = parts;
    const dialect: Dialect = {
      lockRow: "",
      skipLocked: "",
      turns: new Map(),
      unsafeWithoutFence: options.unsafeWithoutFence ?? false,
    };
    this.#writer = new Writer({
      connection: writing,
      db: queryBuilder(writing),
      dialect,
      clock: options.clock,
      limits: { ...sqliteDefaults, ...options.limits },
      committed: (topics) => this.#topics.wake(topics),
      onCommit: options.onCommit ?? (() => {}),
    });
    this.#reader = new Reader(
      { connection: reading, db: queryBuilder(reading), dialect, clock: options.clock },
      () => this.#writer.commits,
    );
  }

  async transact<T>(fn: (tx: Tx) => Promise<T>): Promise<T> {
    refuseInside("transact");
    this.#refuseClosed();
    return this.#writer.transact(fn);
  }

  async read<T>(fn: (tx: ReadTx) => Promise<T>): Promise<T> {
    refuseInside("read");
    this.#refuseClosed();
    return this.#reader.read(fn);
  }

  watch(topic: Topic, fn: () => void): () => void {
    return this.#topics.watch(topic, fn);
  }

  async health(): Promise<StoreHealth> {
    const before = performance.now();
    const latencyMs = (): number => performance.now() - before;
    if (this.#closing !== null) return { status: "down", detail: "closed", latencyMs: 0 };
    try {
      this.#parts.reading.all("select 1", []);
      return { status: "up", detail: "SQLite", latencyMs: latencyMs() };
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      return { status: "down", detail, latencyMs: latencyMs() };
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#writer.idle();
    await this.#reader.idle();
    this.#topics.clear();
    this.#parts.reading.close();
    this.#parts.writing.close();
    this.#parts.lock.release();
  }

  #refuseClosed(): void {
    if (this.#closing === null) return;
    throw new GlasshouseError("unavailable", "The store is closed; the server is stopping.");
  }
}
