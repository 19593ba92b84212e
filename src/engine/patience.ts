import { setTimeout as sleep } from "node:timers/promises";
import { mayPass } from "../domain/errors.ts";
import { backoff } from "../lib/backoff.ts";
import type { Log } from "../ports/telemetry.ts";

/**
 * Repeats a write of what a program has delivered until the store takes it: while the store is full or away that is held, as what
 * delivered it is not to run again. `write` must be safe to repeat. Errors: whatever does not pass, and once `kill` aborts all.
 */
export async function patiently<T>(
  write: () => Promise<T>,
  { log, stepId, kill }: { readonly log: Log; readonly stepId: string; readonly kill: AbortSignal },
): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await write();
    } catch (error) {
      if (!mayPass(error) || kill.aborted) throw error;
      log.warn("What a step has delivered is held until the store takes it", { stepId, error });
      const delayMs = backoff({
        attempt: tries,
        baseMs: 200,
        mostMs: 10_000,
        random: Math.random(),
      });
      await sleep(delayMs, undefined, { signal: kill }).catch(() => undefined);
    }
  }
}
