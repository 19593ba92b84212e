import type { ChildIdentity } from "../domain/step.ts";
import type { WorkerProcess } from "../domain/worker.ts";

/** What recovery needs to know of processes: its own, those of other servers on this machine, and their children. */
export interface Processes {
  /** This process, as others on this machine can recognise it. */
  self(): Promise<WorkerProcess>;
  /**
   * Resolves when the process is proven gone: other boot, or no process with that pid and start time. Waits as long as its
   * warden needs to stop it, then kills that verified process. Safe to repeat. Errors: `unavailable` when it will not go.
   */
  awaitGone(identity: ChildIdentity, signal: AbortSignal): Promise<void>;
}
