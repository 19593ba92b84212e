import type { PlannedStep, SavedPlan } from "../domain/plan.ts";
import { planEventData } from "../domain/event-data.ts";
import type { NewEvent } from "../domain/event.ts";
import type { Failure } from "../domain/errors.ts";
import type { Run } from "../domain/run.ts";
import type { Step } from "../domain/step.ts";
import type { Tx } from "../ports/store.ts";

const pageSize = 500;

interface PlanRunEnd {
  readonly run: Run;
  readonly status: "succeeded" | "failed" | "cancelled";
  readonly failure: Failure | null;
}

/** What became of the run's plan, for the journal. */
type PlanEvent = Pick<NewEvent, "type" | "data">;

/**
 * Puts what the executors said into the plan that was asked for: each exact group's changes and its sealed plan. A run that
 * applied a saved plan marks it `applied`, or `stale` when it could not begin.
 */
export async function finishPlan(tx: Tx, of: PlanRunEnd): Promise<readonly PlanEvent[]> {
  const { planId, kind } = of.run;
  const saved = planId === null ? null : await tx.plans.get(planId);
  if (saved === null) return [];
  const patch = kind === "plan" ? await finished(tx, of, saved) : applied(of);
  if (patch === null) return [];
  await tx.plans.update(saved.id, patch);
  const data = planEventData({ ...saved, ...patch });
  if (patch.status === "ready") return [{ type: "plan.ready", data }];
  return patch.status === "stale" ? [{ type: "plan.stale", data }] : [];
}

type PlanPatch = Pick<SavedPlan, "status"> & Partial<Pick<SavedPlan, "plan">>;

function applied({ status, failure }: Pick<PlanRunEnd, "status" | "failure">): PlanPatch | null {
  if (failure?.code === "plan-stale") return { status: "stale" };
  return status === "succeeded" ? { status: "applied" } : null;
}

async function finished(
  tx: Tx,
  of: Pick<PlanRunEnd, "run" | "status">,
  saved: SavedPlan,
): Promise<PlanPatch> {
  if (of.status !== "succeeded" || saved.plan === null) return { status: "failed" };
  const answers = await answersOf(tx, of.run.id);
  if (answers.size === 0) return { status: "ready" };
  const steps = saved.plan.steps.map((step): PlannedStep => {
    const answer = answers.get(`plan:${step.template}/${step.group ?? ""}`);
    if (answer === undefined || step.phase !== "apply" || step.mark !== "exact") return step;
    return { ...step, changes: answer.changes, input: answer.input };
  });
  return { status: "ready", plan: { ...saved.plan, steps } };
}

async function answersOf(tx: Tx, runId: string): Promise<ReadonlyMap<string, Step>> {
  const found = new Map<string, Step>();
  let cursor: string | null = null;
  do {
    const page: { readonly items: readonly Step[]; readonly next: string | null } =
      await tx.steps.list(runId, { limit: pageSize, cursor });
    for (const step of page.items) found.set(step.key, step);
    cursor = page.next;
  } while (cursor !== null);
  return found;
}
