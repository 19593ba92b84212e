import type { PlannedStep } from "../domain/plan.ts";
import type { Run } from "../domain/run.ts";
import type { Step } from "../domain/step.ts";
import type { Tx } from "../ports/store.ts";

const pageSize = 500;

/** Puts what the executors said into the saved plan: each exact group's changes and its sealed plan. */
export async function finishPlan(
  tx: Tx,
  of: { readonly run: Run; readonly status: "succeeded" | "failed" | "cancelled" },
): Promise<void> {
  const { planId } = of.run;
  const saved = planId === null ? null : await tx.plans.get(planId);
  if (planId === null || saved === null) return;
  if (of.status !== "succeeded" || saved.plan === null)
    return tx.plans.update(planId, { status: "failed" });
  const answers = await answersOf(tx, of.run.id);
  const steps = saved.plan.steps.map((step): PlannedStep => {
    const answer = answers.get(`plan:${step.template}/${step.group ?? ""}`);
    if (answer === undefined || step.phase !== "apply" || step.mark !== "exact") return step;
    return { ...step, changes: answer.changes, input: answer.input };
  });
  return tx.plans.update(planId, { status: "ready", plan: { ...saved.plan, steps } });
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
