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
   * takes its steps before this time plus what their children may take to stop, unless it is proven dead.
   */
  readonly leaseEndsAt: string | null;
}

/** `draining`: takes no new steps and ends those it has. `gone`: it has said so, or is proven dead; its steps may be taken. */
export type WorkerStatus = "working" | "draining" | "gone";

export interface WorkerProcess {
  readonly host: string;
  readonly pid: number;
  /** Start time in clock ticks since boot, field 22 of /proc/<pid>/stat; empty where there is no /proc. */
  readonly startTime: string;
  readonly bootId: string;
}

/** How long a lease lasts, how often it is renewed, and after how long without renewal its owner must stop writing. */
export const leaseTimes = { durationMs: 30_000, renewEveryMs: 10_000, trustedMs: 20_000 } as const;
