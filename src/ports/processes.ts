import type { ChildIdentity } from "../domain/step.ts";

/** What recovery needs to know of child processes of an earlier server. */
export interface Processes {
  /**
   * Resolves when the process is proven gone: other boot, or no process with that pid and start time. Waits as long as its
   * warden needs to stop it, then kills that verified process. Safe to repeat. Errors: `unavailable` when it will not go.
   */
  awaitGone(identity: ChildIdentity, signal: AbortSignal): Promise<void>;
}
