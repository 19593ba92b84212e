import type { Step } from "../domain/step.ts";
import type { Fence } from "../ports/work.ts";

export function fenceOf(step: Step): Fence {
  return {
    stepId: step.id,
    runId: step.runId,
    environmentId: step.environmentId,
    token: step.token,
  };
}
