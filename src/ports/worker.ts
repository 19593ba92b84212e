import type { NewWorker, Worker, WorkerStatus } from "../domain/worker.ts";

/** The processes that work on steps. Writes by a worker about itself need no fence: only it and proof of its death change its row. */
export interface WorkerRepository {
  /**
   * Makes the worker known. With `leaseMs` its lease ends so long from now on the store's clock; null where holding the
   * store itself is the lease. Safe to repeat.
   */
  put(worker: NewWorker, leaseMs: number | null): Promise<void>;
  /**
   * Its lease ends `leaseMs` from now on the store's clock, also when it had ended already: steps that nobody took
   * meanwhile are still its own. False when it is gone or not known, and then nothing is changed. Never waits for long, and
   * either comes before a takeover of its steps by `steps.abandon` and prevents it, or after it.
   */
  renew(id: string, leaseMs: number): Promise<boolean>;
  /** What is gone stays gone. */
  setStatus(id: string, status: WorkerStatus): Promise<void>;
  get(id: string): Promise<Worker | null>;
  /** Those not yet gone, and those gone that a running step still names. By id. Few. */
  list(): Promise<readonly KnownWorker[]>;
  /** Forgets those that are gone, or whose lease ended an hour ago, and that no running step names. */
  removeGone(): Promise<void>;
}

export interface KnownWorker extends Worker {
  /** Its lease has ended on the store's clock. */
  readonly isLapsed: boolean;
}

/**
 * The right of one worker to write. Counted on the monotonic clock from the moment a renewal is sent, so neither a jump of
 * the wall clock nor a slow answer makes it longer than the store thinks.
 */
export interface WorkerLease {
  /** False once renewals have failed for `LeaseTimes.trustedMs`, or the store says that the worker is gone: it then writes and takes nothing. */
  holds(): boolean;
  /** True once the store has said that this worker is gone: it must begin anew under another id. */
  isLost(): boolean;
  /**
   * How long until the lease ends, at the latest by the store's clock; 0 when it has ended, infinite where holding the store
   * is the lease. Children must be interrupted by then.
   */
  remainingMs(): number;
  /**
   * How often the lease had ended, or may have, before it was renewed. While this stays the same and `remainingMs` is above
   * 0, nobody can have taken a step of this worker.
   */
  lapses(): number;
  /** Calls `fn` after each renewal and whenever `holds` or `isLost` changes. Returns a function that ends it. */
  watch(fn: () => void): () => void;
  /**
   * Stops renewing. `gone`: nothing of the worker runs any more, so its row says so and others may take its steps at once;
   * otherwise the lease is let run out. Safe to repeat. Never throws: what cannot be said is found out by its end.
   */
  release(how: { readonly gone: boolean }): Promise<void>;
}
