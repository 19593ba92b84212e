import { pauseOf, type Run } from "../domain/run.ts";
import type { Step } from "../domain/step.ts";
import type { ReadTx } from "../ports/store.ts";

/** Steps that are read to say what the runs of a page wait for, the next to be tried first. */
const mostSteps = 1_000;

/**
 * Says in runs under way that say nothing else what their steps wait for that is away, or that a disk is full. It stands in the
 * steps and is kept nowhere else: when the steps go on, the runs say nothing any more.
 */
export async function withPauses(tx: ReadTx, runs: readonly Run[]): Promise<readonly Run[]> {
  const silent = runs.filter(({ status, blocker }) => status === "running" && blocker === null);
  const ids = silent.map(({ id }) => id);
  const paused = Map.groupBy(await tx.steps.putOff(ids, mostSteps), ({ runId }) => runId);
  return runs.map((run) => ({ ...run, ...pauseOfSteps(paused.get(run.id) ?? []) }));
}

function pauseOfSteps(steps: readonly Step[]): Partial<Pick<Run, "reason" | "blocker">> {
  const paused = steps.filter(({ failure }) => failure !== null && pauseOf(failure.code) !== null);
  const [first] = paused;
  const kind = first?.failure && pauseOf(first.failure.code);
  if (!first || !kind) return {};
  const others = paused.length > 1 ? ` (and ${paused.length - 1} more)` : "";
  return {
    reason: `${first.key}: ${first.reason ?? first.failure.message}${others}`,
    blocker: { kind, on: paused.map(({ key }) => key) },
  };
}
