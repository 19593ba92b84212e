import { closeSync, openSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { StoreFault } from "../../../domain/errors.ts";
import { timestamp } from "../../../ports/clock.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { NewWorker } from "../../../domain/worker.ts";
import type {
  LastingStore,
  ReadTx,
  Retention,
  SearchTx,
  StoreHealth,
  Topic,
  TransactOptions,
  Tx,
} from "../../../ports/store.ts";
import type { Log } from "../../../ports/telemetry.ts";
import type { WorkerLease } from "../../../ports/worker.ts";
import type { Dialect, Session } from "../sql/session.ts";
import {
  SearchFollower,
  searchFollowerDefaults,
  type SearchFollowerLimits,
} from "../sql/search-follower.ts";
import type { Migration } from "../sql/migrations.ts";
import { Connection } from "./connection.ts";
import { translate } from "./errors.ts";
import { refuseNetworkFileSystem } from "./file-system.ts";
import { LateBuilder } from "./late-builder.ts";
import { LateTx } from "./late-tx.ts";
import { lockDirectory } from "./lock.ts";
import type { DirectoryLock } from "./lock.ts";
import { backUp, backUpBeforeMigration, examine } from "./maintenance.ts";
import type { Examination } from "./maintenance.ts";
import { migrate } from "./migrate.ts";
import { fts5 } from "./full-text.ts";
import { Reader } from "./reader.ts";
import { Topics } from "../sql/topics.ts";
import { refuseInside } from "../sql/transaction-context.ts";
import { Writer } from "./writer.ts";
import type { WriterLimits } from "./writer.ts";

export interface SqliteStoreOptions {
  /** Holds the database, its lock and its backups. Made when missing, for its owner alone. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits?: Partial<WriterLimits & SearchFollowerLimits>;
  /** Called around the n-th commit, from 1, so that a crash test can end the process there. */
  readonly onCommit?: (n: number, phase: "before" | "after") => void;
  /** When the file is examined for damage, so that it does not slow the start. A second unless given. */
  readonly examineAfterMs?: number;
  /** Other than the program's own in tests of migrations. */
  readonly migrations?: readonly Migration[];
  /** For tests that show what the fence is for. */
  readonly unsafeWithoutFence?: boolean;
}

const databaseName = "glasshouse.db";

export const sqliteDefaults: WriterLimits = { transactions: 256, openMs: 10, idleMs: 10_000 };

/**
 * Opens the store of a directory and takes the directory for this process. The file is examined for damage in a thread
 * after that; damage turns the store read-only. Errors: `conflict` (in use by another process; written by a newer
 * program), `invalid-configuration` (network file system), `unavailable` (not a database), `storage-full`.
 */
export async function createSqliteStore(options: SqliteStoreOptions): Promise<SqliteStore> {
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  await refuseNetworkFileSystem(options.directory);
  const lock = await lockDirectory(options.directory);
  const opened: Connection[] = [];
  try {
    const file = join(options.directory, databaseName);
    // For its owner alone; SQLite gives the files beside it (log, shared memory) the same mode.
    closeSync(openSync(file, "a", 0o600));
    const writing = new Connection(file, "write");
    opened.push(writing);
    const now = timestamp(options.clock);
    migrate(writing, {
      log: options.log,
      now,
      backUp: (version) =>
        backUpBeforeMigration(
          writing,
          options.directory,
          `${now.replaceAll(":", "-")}-schema-${version}`,
        ),
      ...(options.migrations === undefined ? {} : { migrations: options.migrations }),
    });
    const reading = new Connection(file, "read");
    opened.push(reading);
    return new SqliteStore({ options, file, lock, writing, reading });
  } catch (error) {
    for (const connection of opened) connection.close();
    lock.release();
    throw translate(error);
  }
}

interface Parts {
  readonly options: SqliteStoreOptions;
  readonly file: string;
  readonly lock: DirectoryLock;
  readonly writing: Connection;
  readonly reading: Connection;
}

/** The store of one process in one file. */
export class SqliteStore implements LastingStore {
  readonly #parts: Parts;
  readonly #topics = new Topics();
  readonly #writer: Writer;
  readonly #reader: Reader;
  readonly #tx = new LateTx();
  readonly #follower: SearchFollower;
  readonly #examination: Examination;
  #damage: string | null = null;
  #closing: Promise<void> | null = null;

  /** Resolves when the file has been looked through for damage. */
  readonly examined: Promise<void>;

  constructor(parts: Parts) {
    this.#parts = parts;
    const { options, writing, reading } = parts;
    const dialect: Dialect = {
      lockRow: "",
      turns: new Map(),
      fullText: fts5,
      packs: false,
      unsafeWithoutFence: options.unsafeWithoutFence ?? false,
    };
    const builder = new LateBuilder();
    this.#writer = new Writer({
      connection: writing,
      builder,
      dialect,
      clock: options.clock,
      limits: { ...sqliteDefaults, ...options.limits },
      committed: (topics) => {
        this.#topics.wake(topics);
        if (topics.has("journal")) this.#follower.poke();
      },
      onCommit: options.onCommit ?? (() => {}),
    });
    this.#reader = new Reader(
      { connection: reading, builder, dialect, clock: options.clock, tx: this.#tx },
      () => this.#writer.commits,
    );
    this.#follower = new SearchFollower({
      write: (fn) => this.#write(fn),
      read: (fn) => this.#reader.run(fn),
      settle: null,
      log: options.log,
      limits: { ...searchFollowerDefaults, ...options.limits },
    });
    // What a process that was killed has left.
    this.#follower.poke();
    this.#examination = examine(parts.file, options.examineAfterMs ?? 1_000);
    this.examined = this.#examination.result.then((damage) => this.#turnReadOnly(damage));
  }

  async transact<T>(fn: (tx: Tx) => Promise<T>, how?: TransactOptions): Promise<T> {
    refuseInside("transact");
    // Loaded within, so that closing waits for it as for every transaction.
    return this.#write(async (session) => {
      const make = this.#tx.loaded ?? (await this.#tx.load());
      return fn(make(session));
    }, how);
  }

  async read<T>(fn: (tx: ReadTx) => Promise<T>): Promise<T> {
    refuseInside("read");
    this.#refuseClosed();
    return this.#reader.read(fn);
  }

  async search<T>(fn: (tx: SearchTx) => Promise<T>): Promise<T> {
    refuseInside("search");
    this.#refuseClosed();
    await this.#follower.caughtUp();
    return this.#reader.read(fn);
  }

  watch(topic: Topic, fn: () => void): () => void {
    return this.#topics.watch(topic, fn);
  }

  /** Holding the file is the lease: whoever held it before is gone, and this one holds until it lets go of the file. */
  async lease(worker: NewWorker): Promise<WorkerLease> {
    refuseInside("lease");
    const { takeAlone } = await import("../sql/worker.ts");
    await this.#write((session) => takeAlone(session, worker));
    let released: Promise<void> | null = null;
    return {
      holds: () => released === null,
      isLost: () => false,
      remainingMs: () => (released === null ? Number.POSITIVE_INFINITY : 0),
      lapses: () => 0,
      watch: () => () => undefined,
      release: ({ gone }) => (released ??= gone ? this.#sayGone(worker.id) : Promise.resolve()),
    };
  }

  async health(): Promise<StoreHealth> {
    const before = performance.now();
    const latencyMs = (): number => performance.now() - before;
    if (this.#closing !== null) return { status: "down", detail: "closed", latencyMs: 0 };
    try {
      this.#parts.reading.all("select 1", []);
      if (this.#damage !== null) {
        return { status: "read-only", detail: this.#damage, latencyMs: latencyMs() };
      }
      return { status: "up", detail: "SQLite", latencyMs: latencyMs() };
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      return { status: "down", detail, latencyMs: latencyMs() };
    }
  }

  async prune(retention: Retention): Promise<void> {
    const { pruneSome } = await import("../sql/prune.ts");
    let more = true;
    while (more) {
      refuseInside("transact");
      more = await this.#write((session) => pruneSome(session, retention));
    }
  }

  /**
   * Writes a checked copy of the database to a new file while work goes on; it holds every transaction that has
   * resolved. Blobs and keys are not in it. Errors: `internal` with what went wrong.
   */
  async backup(file: string): Promise<void> {
    this.#refuseClosed();
    await backUp(this.#parts.file, file);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#examination.stop();
    await this.#follower.close();
    await this.#writer.idle();
    this.#writer.close();
    await this.#reader.idle();
    this.#topics.clear();
    this.#parts.reading.close();
    this.#parts.writing.close();
    this.#parts.lock.release();
  }

  async #write<T>(fn: (session: Session) => Promise<T>, how?: TransactOptions): Promise<T> {
    this.#refuseClosed();
    this.#refuseDamaged();
    return this.#writer.run(fn, how);
  }

  /** For people who look: the next holder of the file knows it without this. */
  async #sayGone(worker: string): Promise<void> {
    try {
      await this.transact((tx) => tx.workers.setStatus(worker, "gone"));
    } catch (error) {
      this.#parts.options.log.warn("A worker could not say that it is gone", { worker, error });
    }
  }

  #turnReadOnly(damage: string | null): void {
    if (damage === null) return;
    this.#damage = `The database file is damaged: ${damage}`;
    this.#parts.options.log.error(
      "The database file is damaged; the store is read-only from now on",
      {
        file: this.#parts.file,
        damage,
      },
    );
  }

  #refuseDamaged(): void {
    if (this.#damage === null) return;
    throw new StoreFault(
      "unavailable",
      `${this.#damage}. Nothing is written any more; stop the server and restore a backup with \`glasshouse restore\`.`,
    );
  }

  #refuseClosed(): void {
    if (this.#closing === null) return;
    throw new StoreFault("unavailable", "The store is closed; the server is stopping.");
  }
}
