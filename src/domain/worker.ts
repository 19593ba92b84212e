/** A process that works on steps, as the store knows it. */
export interface Worker {
  readonly id: string;
  /** What it offers beyond the ordinary: steps that ask for labels run only where all of them are. Sorted. */
  readonly labels: readonly string[];
  /** Which process, so that another on the same machine can prove it dead. */
  readonly process: WorkerProcess;
  /** Version of the program. */
  readonly version: string;
  readonly startedAt: string;
  readonly status: WorkerStatus;
  /**
   * End of its lease on the store's clock; null where holding the store itself is the lease (one process a file). Nobody
   * takes its steps before this time plus what their children may take to stop, unless they are proven dead.
   */
  readonly leaseEndsAt: string | null;
}

/** A worker as it makes itself known: it works, and its lease is the store's affair. */
export type NewWorker = Omit<Worker, "status" | "leaseEndsAt">;

/**
 * `draining`: takes no new steps and ends those it has. `gone`: nothing of it runs any more, so its steps may be taken at
 * once. What is gone stays gone: a process that finds itself so begins anew under another id.
 */
export type WorkerStatus = "working" | "draining" | "gone";

/** Which process, beyond doubt, to others on the same machine: all members together, and nothing to anybody elsewhere. */
export interface WorkerProcess {
  readonly host: string;
  readonly pid: number;
  /** Start time in clock ticks since boot, field 22 of /proc/<pid>/stat; empty where there is no /proc. */
  readonly startTime: string;
  readonly bootId: string;
  /** Two containers of one machine share its boot id and see nothing of each other's processes. Empty where there is no /proc. */
  readonly pidNamespace: string;
}
