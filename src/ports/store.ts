import type {
  AuditRepository,
  CertificateRepository,
  CheckRepository,
  CommandRepository,
  EnvironmentRepository,
  EventRepository,
  LoanRepository,
  OwnedSecretRepository,
  PlanRepository,
  RecordRepository,
  ResourceRepository,
  SecretRepository,
  StateRepository,
  TemplateRepository,
} from "./repositories.ts";
import type { NewWorker } from "../domain/worker.ts";
import type { RelayRepository } from "./relay.ts";
import type { SearchRepository } from "./search.ts";
import type { LogRepository, RunRepository, StepRepository } from "./work.ts";
import type { WorkerLease, WorkerRepository } from "./worker.ts";

/**
 * Everything that lasts, but for blobs. A state change, its event and its audit entry are written in one transaction.
 */
export interface Store {
  /**
   * Runs `fn` in a transaction and resolves after the commit. `fn` awaits nothing but its `tx`, and may run again (a
   * serialization failure), so it has no effects but those on `tx`. When it throws, nothing of it is kept and the error
   * is passed on. Transactions that wait at the same time may share one commit, each by itself kept or rolled back.
   * Errors: `storage-full` (disk), `unavailable` (database down), and whatever `fn` throws. What the store itself says, here and
   * below, is a `StoreFault`: whoever works off what others have asked for waits then, and lays nothing down.
   */
  transact<T>(fn: (tx: Tx) => Promise<T>, how?: TransactOptions): Promise<T>;
  /**
   * Reads from one consistent snapshot without waiting for writers. Sees every transaction that has resolved. `fn` may run
   * again (the schema was changed meanwhile), so it has no effects.
   */
  read<T>(fn: (tx: ReadTx) => Promise<T>): Promise<T>;
  /**
   * Reads as `read` does, with `searches`: they find every transaction that was committed before the call, by whichever process.
   * Errors: `unavailable` when the index cannot be brought up to that in some seconds, and those of `transact`: what is searched is
   * indexed here at the latest.
   */
  search<T>(fn: (tx: SearchTx) => Promise<T>): Promise<T>;
  /**
   * Calls `fn` soon after a commit that touched the topic (several commits may give one call). The one wake-up of engine,
   * services and live events. Returns a function that ends it. `fn` must not throw.
   */
  watch(topic: Topic, fn: () => void): () => void;
  /**
   * Makes the worker known and keeps its lease until it is released; resolves once it holds. Before this it claims nothing.
   * Where holding the store itself is the lease, every other worker is gone by that. Errors: `unavailable`, `storage-full`.
   */
  lease(worker: NewWorker): Promise<WorkerLease>;
  /** One cheap query, with its latency; for health and readiness. Never throws. */
  health(): Promise<StoreHealth>;
  /** Waits for what is under way, then closes. Transactions asked for later fail with `unavailable`. */
  close(): Promise<void>;
}

export interface TransactOptions {
  /**
   * It is short (a few statements on one environment), and many like it come at once: a store may run them side by side in
   * one transaction, so that all of them cost little more than one.
   */
  readonly brief?: boolean;
  /**
   * Asked at each run of it: whether a step's end in it may claim, for the worker of that step and in its place, a step that it
   * releases (`StepRepository.inPlace`).
   */
  readonly inPlace?: () => boolean;
}

export type Topic = "journal" | "queue" | "steps" | "commands" | "logs" | "workers";

/** A store with what only the composition root asks of it. */
export interface LastingStore extends Store {
  /**
   * Removes what has outlived its retention, in short transactions with turns for others between. Safe to repeat, to give up
   * half-way, and to do in several processes.
   */
  prune(retention: Retention): Promise<void>;
}

/** Times before which rows may go, as RFC 3339; a kind that is not named stays. The audit has no limit: it is never pruned. */
export interface Retention {
  readonly journalBefore?: string;
  readonly logsBefore?: string;
  readonly commandsBefore?: string;
  readonly plansBefore?: string;
}

export interface StoreHealth {
  readonly status: "up" | "read-only" | "down";
  readonly detail: string;
  readonly latencyMs: number;
}

export interface Tx {
  /** Stands for the transaction in the store: the same for all who share one because they are brief. */
  readonly shared: object;
  /** The clock that all who share the store go by, as RFC 3339: the database's own where there is one. */
  time(): Promise<string>;
  /**
   * For a look at what was relied on. Where it takes time the transaction goes on meanwhile; when the look fails nothing is
   * kept, and its error is that of the transaction.
   */
  sure(look: Promise<void>): Promise<void>;
  readonly templates: TemplateRepository;
  readonly environments: EnvironmentRepository;
  readonly commands: CommandRepository;
  readonly runs: RunRepository;
  readonly steps: StepRepository;
  readonly records: RecordRepository;
  readonly resources: ResourceRepository;
  readonly checks: CheckRepository;
  readonly secrets: SecretRepository;
  readonly ownedSecrets: OwnedSecretRepository;
  readonly certificates: CertificateRepository;
  readonly loans: LoanRepository;
  readonly states: StateRepository;
  readonly plans: PlanRepository;
  readonly events: EventRepository;
  readonly logs: LogRepository;
  readonly audits: AuditRepository;
  readonly workers: WorkerRepository;
  readonly relays: RelayRepository;
}

/** The same repositories; their writes are refused by the connection. */
export type ReadTx = Tx;

export interface SearchTx extends ReadTx {
  readonly searches: SearchRepository;
}
