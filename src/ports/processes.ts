import type { ChildIdentity } from "../domain/step.ts";
import type { WorkerProcess } from "../domain/worker.ts";

/** What recovery needs to know of processes: its own, those of other servers on this machine, and their children. */
export interface Processes {
  /** This process, as others on this machine can recognise it. */
  self(): Promise<WorkerProcess>;
  /**
   * True only when this process can see that that one has ended: same host, boot and pid namespace, and no living process
   * with its pid and start time. False says nothing.
   */
  isProvenGone(process: WorkerProcess): Promise<boolean>;
  /** Whether exactly this child lives. Only to be asked about children of a process that `isProvenGone` could see. */
  isAlive(identity: ChildIdentity): Promise<boolean>;
  /**
   * Resolves when the child is gone. One of this machine: no process with that pid and start time; waits as long as its
   * warden needs to stop it, then kills that verified process. One of another boot cannot be seen from here and counts as
   * gone, because a step is taken over only when the store or a neighbour of its owner has made sure of that
   * (`StepRepository.abandon`). Safe to repeat. Errors: `unavailable` when it will not go.
   */
  awaitGone(identity: ChildIdentity, signal: AbortSignal): Promise<void>;
}
