import { randomUUID } from "node:crypto";
import { defaultLeaseMs } from "../../../domain/lease.ts";
import type { NewWorker } from "../../../domain/worker.ts";
import { timestamp } from "../../../ports/clock.ts";
import type { Clock } from "../../../ports/clock.ts";
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
import type { Log, Metrics } from "../../../ports/telemetry.ts";
import type { WorkerLease } from "../../../ports/worker.ts";
import {
  SearchFollower,
  searchFollowerDefaults,
  type SearchFollowerLimits,
} from "../sql/search-follower.ts";
import type { Migration } from "../sql/migrations.ts";
import { pruneSome } from "../sql/prune.ts";
import { statement } from "../sql/session.ts";
import type { Dialect, Session } from "../sql/session.ts";
import { Topics } from "../sql/topics.ts";
import { refuseInside } from "../sql/transaction-context.ts";
import { SqlTx } from "../sql/tx.ts";
import type { Connection } from "../../../clients/postgres/connection.ts";
import { translate } from "../../../clients/postgres/errors.ts";
import type { Remotes } from "../../../clients/resilience/remotes.ts";
import type {
  ClientCertificates,
  DatabaseLogins,
  Identity,
} from "../../../clients/postgres/logins.ts";
import { endsOfSteps } from "./end-step.ts";
import { Foresight } from "./foresight.ts";
import { QueryBuilders } from "./kysely-dialect.ts";
import { monotonicMs } from "./lease-cell.ts";
import { PostgresLease } from "./lease.ts";
import { allTopics, Listener } from "./listener.ts";
import { migrate } from "./migrate.ts";
import { tsvector } from "./full-text.ts";
import { Numberer } from "./numberer.ts";
import { Pool } from "../../../clients/postgres/pool.ts";
import { Reader } from "./reader.ts";
import { databaseRemote, openThrough } from "./remote.ts";
import type { ChangingUrl, TargetLimits } from "../../../clients/postgres/target.ts";
import { takeOwn } from "./together.ts";
import { pruneLock } from "./transaction.ts";
import { WayIn } from "./way-in.ts";
import { refusedAsClosed, Writer, type WriterLimits } from "./writer.ts";

export interface PostgresStoreOptions {
  /** `postgres://user@host:port/database?sslmode=…`; several hosts with commas. */
  readonly url: string | ChangingUrl;
  /** In place of one in the URL. */
  readonly password?: string | undefined;
  /** Who connects, and then acts as the user of the URL. */
  readonly logins?: DatabaseLogins | undefined;
  /** What is shown to a server that asks for a certificate. */
  readonly certificates?: ClientCertificates | undefined;
  /** File with the certificates of the authorities that are trusted. */
  readonly caFile?: string | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** Where the database is kept with its breaker; without it every connection is simply opened. */
  readonly remotes?: Pick<Remotes, "remote">;
  readonly metrics?: Metrics;
  readonly limits?: Partial<PostgresLimits>;
  /** Called around the n-th commit of this process, from 1, so that a crash test can end the process there. */
  readonly onCommit?: (n: number, phase: "before" | "after") => void;
  /** Other than the program's own in tests of migrations. */
  readonly migrations?: readonly Migration[];
  /** For tests that show what the fence is for. */
  readonly unsafeWithoutFence?: boolean;
}

export interface PostgresLimits extends WriterLimits, TargetLimits, SearchFollowerLimits {
  /** Connections for transactions; a few more are used for listening, positions and the lease. */
  readonly pool: number;
  /** How long a transaction waits for a connection. */
  readonly poolWaitMs: number;
  /** A connection is given up when nothing is heard for so long after the server must have given up the statement. */
  readonly silentMarginMs: number;
  /** How long a worker's lease lasts. */
  readonly leaseMs: number;
  /** How long a start waits for a server that is not there. */
  readonly startMs: number;
}

export const postgresDefaults: PostgresLimits = {
  ...searchFollowerDefaults,
  pool: 16,
  poolWaitMs: 5_000,
  silentMarginMs: 10_000,
  startMs: 30_000,
  leaseMs: defaultLeaseMs,
  connectMs: 5_000,
  statementMs: 30_000,
  lockMs: 15_000,
  idleMs: 10_000,
  idleInTransactionMs: 15_000,
  transactions: 64,
  openMs: 10,
  sideBySide: 2,
};

const tryPruning = statement<{ readonly alone: boolean }>(
  `select pg_try_advisory_xact_lock(${pruneLock}) as "alone"`,
);
/** A connection that lives so long without a commit is asked about by nobody any more. */
const forgetMarks = statement(`delete from "commitMark" where "at" < now() - interval '1 day'`);

/** Others hold what was passed over for some milliseconds. */
const lookAgainMs = 10;

/**
 * Opens the store of a database and brings its schema up to date. Errors: `invalid-configuration`, `unavailable` when no
 * server that takes writes is found in time, `conflict` when the database was written by a newer program.
 */
export async function createPostgresStore(options: PostgresStoreOptions): Promise<PostgresStore> {
  const limits = { ...postgresDefaults, ...options.limits };
  const { url, password, caFile, logins, certificates, log } = options;
  try {
    const target = { url, password, caFile, limits };
    const wayIn = await WayIn.open({ target, logins, certificates, log });
    const first = await wayIn.openWithin(limits.startMs);
    try {
      const now = timestamp(options.clock);
      const known = options.migrations === undefined ? {} : { migrations: options.migrations };
      await migrate(first, { log, now, ...known });
    } finally {
      await first.end();
    }
    const store = new PostgresStore({ options, limits, wayIn });
    await store.start();
    return store;
  } catch (error) {
    throw translate(error);
  }
}

const filesPool = 4;

interface Parts {
  readonly options: PostgresStoreOptions;
  readonly limits: PostgresLimits;
  readonly wayIn: WayIn;
}

/** The store of any number of processes in one database. */
export class PostgresStore implements LastingStore {
  readonly #parts: Parts;
  readonly #topics = new Topics();
  readonly #pool: Pool;
  readonly #files: Pool;
  readonly #writer: Writer;
  readonly #reader: Reader;
  readonly #listener: Listener;
  readonly #numberer: Numberer;
  readonly #follower: SearchFollower;
  readonly #leases = new Set<PostgresLease>();
  #lookAgain: NodeJS.Timeout | null = null;
  #closing: Promise<void> | null = null;

  constructor(parts: Parts) {
    this.#parts = parts;
    const { options, limits, wayIn } = parts;
    const { clock, log } = options;
    const remote = options.remotes === undefined ? null : databaseRemote(options.remotes);
    const open = (): Promise<Connection> => openThrough(remote, () => wayIn.open());
    const foresight = new Foresight();
    const dialect: Dialect = {
      lockRow: " for no key update",
      turns: new Map(),
      fullText: tsvector,
      packs: true,
      takeOwn,
      ...(options.unsafeWithoutFence === true ? {} : { endStep: endsOfSteps(foresight) }),
      unsafeWithoutFence: options.unsafeWithoutFence ?? false,
    };
    const { pool: size, poolWaitMs: waitMs } = limits;
    const waits = { waitMs, silentMs: limits.statementMs + limits.silentMarginMs, open };
    this.#pool = new Pool({ ...waits, size });
    this.#files = new Pool({ ...waits, size: filesPool });
    options.metrics?.observe("glasshouse_store_connections", () => this.#connections());
    const shared = { pool: this.#pool, builders: new QueryBuilders(), dialect, clock };
    this.#writer = new Writer({
      ...shared,
      limits,
      foresight,
      committed: (topics) => this.#committed(topics),
      passedOver: () => this.#wakeLater(),
      onCommit: options.onCommit ?? (() => {}),
    });
    this.#reader = new Reader(shared);
    const instance = randomUUID();
    this.#numberer = new Numberer({
      instance,
      open,
      log,
      numbered: () => {
        this.#topics.wake(["journal"]);
        this.#follower.poke();
      },
    });
    this.#follower = new SearchFollower({
      write: (fn) => this.#write(fn),
      read: (fn) => this.#reader.run(fn),
      settle: () => this.#numberer.settle(),
      log,
      limits,
    });
    this.#listener = new Listener({
      instance,
      open,
      log,
      heard: (topics) => this.#topics.wake(topics),
      missed: () => {
        this.#numberer.poke();
        this.#topics.wake(allTopics);
      },
    });
  }

  /** Connections for what is large, so that it keeps no transaction waiting: blobs and the key. Closed with the store. */
  get files(): Pool {
    return this.#files;
  }

  /** Begins to listen to other processes. */
  async start(): Promise<void> {
    await this.#listener.start();
    // What a process that was killed has left.
    this.#follower.poke();
    const leases = { renew: async (identity: Identity) => this.#useInLeases(identity) };
    const parts = [this.#pool, this.#files, this.#listener, this.#numberer, leases];
    this.#parts.wayIn.follow(parts);
  }

  async transact<T>(fn: (tx: Tx) => Promise<T>, how?: TransactOptions): Promise<T> {
    refuseInside("transact");
    return this.#write((session) => fn(new SqlTx(session)), how);
  }

  async read<T>(fn: (tx: ReadTx) => Promise<T>): Promise<T> {
    refuseInside("read");
    this.#refuseClosed();
    return this.#reader.read(fn);
  }

  async search<T>(fn: (tx: SearchTx) => Promise<T>): Promise<T> {
    refuseInside("search");
    this.#refuseClosed();
    try {
      await this.#follower.caughtUp();
    } catch (error) {
      throw translate(error);
    }
    return this.#reader.read(fn);
  }

  watch(topic: Topic, fn: () => void): () => void {
    return this.#topics.watch(topic, fn);
  }

  async lease(worker: NewWorker): Promise<WorkerLease> {
    refuseInside("lease");
    this.#refuseClosed();
    const { options, limits, wayIn } = this.#parts;
    let sentAtMs = 0;
    await this.transact(async (tx) => {
      sentAtMs = monotonicMs();
      await tx.workers.put(worker, limits.leaseMs);
    });
    const lease = new PostgresLease({
      url: options.url,
      password: options.password,
      caFile: options.caFile,
      identity: wayIn.identity,
      worker: worker.id,
      durationMs: limits.leaseMs,
      sentAtMs,
      log: options.log,
      sayGone: () => this.transact((tx) => tx.workers.setStatus(worker.id, "gone")),
      failed: () => {
        options.metrics?.count("glasshouse_lease_renewals_failed_total", {});
        void wayIn.suspect();
      },
    });
    this.#leases.add(lease);
    return lease;
  }

  async health(): Promise<StoreHealth> {
    const before = performance.now();
    if (this.#closing !== null) return { status: "down", detail: "closed", latencyMs: 0 };
    const fault = await this.#listener.health();
    const latencyMs = performance.now() - before;
    const where = this.#parts.wayIn.name;
    if (fault === null) return { status: "up", detail: `PostgreSQL at ${where}`, latencyMs };
    return { status: "down", detail: `PostgreSQL at ${where}: ${fault}`, latencyMs };
  }

  /** One process at a time prunes; another one that asks meanwhile has nothing to do. */
  async prune(retention: Retention): Promise<void> {
    let more = true;
    while (more) {
      refuseInside("transact");
      more = await this.#write(async (session) => {
        if (!(await alonePruning(session))) return false;
        await session.run(forgetMarks);
        return pruneSome(session, retention);
      });
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // Whoever has not released one lets it run out.
    for (const lease of this.#leases) await lease.release({ gone: false });
    await this.#follower.close();
    await this.#writer.idle();
    this.#writer.close();
    await this.#reader.idle();
    if (this.#lookAgain !== null) clearTimeout(this.#lookAgain);
    this.#topics.clear();
    await this.#parts.wayIn.close();
    await this.#numberer.close();
    await this.#listener.close();
    await this.#pool.close();
    await this.#files.close();
  }

  async #write<T>(fn: (session: Session) => Promise<T>, how?: TransactOptions): Promise<T> {
    this.#refuseClosed();
    return this.#writer.run(fn, how);
  }

  #useInLeases(identity: Identity): void {
    for (const lease of this.#leases) lease.use(identity);
  }

  #committed(topics: ReadonlySet<Topic>): void {
    // Those who follow the journal are woken once its new events have their places.
    this.#topics.wake([...topics].filter((topic) => topic !== "journal"));
    if (topics.has("journal")) this.#numberer.poke();
    this.#listener.say(topics);
  }

  /** What was passed over is offered still: those who claim look again. */
  #wakeLater(): void {
    this.#lookAgain ??= setTimeout(() => {
      this.#lookAgain = null;
      this.#topics.wake(["steps"]);
    }, lookAgainMs);
  }

  #connections() {
    const { used, waiting } = this.#pool.load;
    return [
      { value: used, labels: { state: "used" } },
      { value: this.#pool.size - used, labels: { state: "free" } },
      { value: waiting, labels: { state: "waiting" } },
    ];
  }

  #refuseClosed(): void {
    if (this.#closing !== null) throw refusedAsClosed();
  }
}

/** Two that remove the same rows in different orders would wait for each other. */
async function alonePruning(session: Session): Promise<boolean> {
  return (await session.one(tryPruning))?.alone === true;
}
