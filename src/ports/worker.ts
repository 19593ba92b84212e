import type { Worker, WorkerStatus } from "../domain/worker.ts";

/** The processes that work on steps. Writes by a worker about itself need no fence: only it and proof of its death change its row. */
export interface WorkerRepository {
  /** Makes the worker known, with a fresh lease where the store has leases. Safe to repeat. */
  put(worker: Omit<Worker, "leaseEndsAt">): Promise<void>;
  setStatus(id: string, status: WorkerStatus): Promise<void>;
  get(id: string): Promise<Worker | null>;
  /** Those not yet gone, and those gone that a running step still names. Few. */
  list(): Promise<readonly Worker[]>;
  /** Forgets those that are gone and that no running step names. */
  removeGone(): Promise<void>;
}

/**
 * The right of one worker to write. Counted on the monotonic clock from the moment a renewal is sent, so neither a jump of
 * the wall clock nor a slow answer makes it longer than the store thinks.
 */
export interface WorkerLease {
  /** False once renewals have failed for `leaseTimes.trustedMs`, or the store says that the worker is gone: it then writes and takes nothing. */
  holds(): boolean;
  /** True once the store has said that this worker is gone: it must begin anew under another id. */
  isLost(): boolean;
  /** Calls `fn` whenever `holds` or `isLost` changes. Returns a function that ends it. */
  watch(fn: () => void): () => void;
  /** Stops renewing; the row says `gone` when nothing of the worker runs any more. Safe to repeat. */
  release(): Promise<void>;
}
