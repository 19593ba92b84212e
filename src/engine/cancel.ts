import { timestamp } from "../ports/clock.ts";
import type { Run } from "../domain/run.ts";
import { advanceRun } from "./advance.ts";
import type { Attempts } from "./attempts.ts";
import type { EngineDeps } from "./deps.ts";
import { RunCache } from "./run-cache.ts";

/**
 * Acts on requested cancels: what has not begun is cancelled, what runs gets one SIGINT (or, asked twice, is killed), what is
 * unknown is still settled. Safe to repeat.
 */
export async function requestCancels(
  deps: EngineDeps,
  attempts: Attempts,
  cancelling: readonly Run[],
): Promise<void> {
  for (const run of cancelling) {
    attempts.interrupt(run.id, { kill: run.killRequested });
    await cancelUnstarted(deps, run);
  }
}

/**
 * A failed step with `onFailure: abort` interrupts the rest of its run. The worker that it failed on does so at once; this
 * finds it for steps that run here while it failed elsewhere. Costs nothing unless such steps run here. Safe to repeat.
 */
export async function interruptAborted(deps: EngineDeps, attempts: Attempts): Promise<void> {
  for (const runId of attempts.abortable()) {
    const troubled = await deps.store.read((tx) => tx.steps.troubled(runId, mostTroubled));
    if (troubled.some((step) => step.status === "failed" && step.onFailure === "abort"))
      attempts.interrupt(runId, { kill: false });
  }
}

const mostTroubled = 100;

async function cancelUnstarted(deps: EngineDeps, run: Run): Promise<void> {
  const now = timestamp(deps.clock);
  await deps.store.transact(async (tx) => {
    const fresh = await tx.runs.get(run.id);
    if (fresh === null || (fresh.status !== "running" && fresh.status !== "waiting")) return;
    const moved = await tx.steps.moveAll(run.id, {
      from: ["ready", "blocked", "waiting"],
      to: "cancelled",
      reason: "the run was cancelled",
      now,
    });
    if (fresh.status === "waiting")
      await tx.runs.update(run.id, { status: "running", reason: null, blocker: null });
    if (moved.length === 0 && fresh.status === "running" && (await tx.steps.anyOpen(run.id)))
      return;
    const environment = await tx.environments.get(fresh.environmentId);
    const commands = await tx.commands.ofRun(run.id);
    const facts = await new RunCache().load(tx, { run: fresh, environment, commands });
    await advanceRun(tx, deps, { runId: run.id, facts });
  });
}
