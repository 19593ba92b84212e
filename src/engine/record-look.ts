import { stepEventData } from "../domain/event-data.ts";
import type { NewEvent } from "../domain/event.ts";
import type { Step } from "../domain/step.ts";
import { timestamp } from "../ports/clock.ts";
import type { Tx } from "../ports/store.ts";
import type { Looked } from "./check-step.ts";
import type { EngineDeps } from "./deps.ts";
import { fenceOf } from "./fence.ts";
import type { RunFacts } from "./run-cache.ts";

/** Writes what a look at a check came to: it passed, its time is over, or it is looked at again. Gives what is to be told of it. */
export async function recordLook(
  tx: Tx,
  deps: EngineDeps,
  of: { readonly facts: RunFacts; readonly step: Step; readonly look: Looked },
): Promise<readonly NewEvent[]> {
  const { facts, step, look } = of;
  const fence = fenceOf(step);
  const now = timestamp(deps.clock);
  await tx.steps.fence(fence);
  await tx.checks.put(look.state);
  if (look.againInMs !== null) {
    const availableAt = timestamp(deps.clock, look.againInMs);
    await tx.steps.retry(fence, {
      availableAt,
      counts: false,
      reason: look.outcome.detail,
      failure: null,
      now,
    });
    return [];
  }
  const { healthy, detail } = look.outcome;
  const failure = healthy
    ? null
    : ({ code: "step-failed", message: `${look.state.target}: ${detail}` } as const);
  await tx.steps.end(fence, {
    status: healthy ? "succeeded" : "failed",
    reason: detail,
    failure,
    changes: [],
    now,
    progress: healthy ? { done: 1 } : { failed: 1 },
  });
  const [after, run] = [await tx.steps.get(step.id), await tx.runs.get(step.runId)];
  if (after === null || run === null) return [];
  const data = stepEventData(after, { progress: { ...run.progress } });
  const about = {
    environmentId: facts.environment.id,
    subject: `environments/${facts.environment.name}`,
    runId: run.id,
    stepId: step.id,
  };
  return [{ ...about, type: healthy ? "step.succeeded" : "step.failed", data }];
}
