import type { PlannedStep } from "../../domain/plan.ts";
import type { PlanSummaryView, PlanView } from "../../contract/rest.ts";
import type { Api, Handlers } from "./api.ts";
import type { PlanRead } from "../../services/plan.ts";

export function planHandlers(api: Api): Pick<Handlers, "getPlan"> {
  return {
    getPlan: async ({ params }) => planOf(await api.services.getPlan(params.plan)),
  };
}

export function planSummaryOf({ plan, environmentName }: PlanRead): PlanSummaryView {
  return {
    id: plan.id,
    environment: plan.environmentId,
    environmentName,
    run: plan.runId,
    kind: plan.kind,
    status: plan.status,
    templates: plan.desired.templates.map(({ templateId, name, version }) => ({
      id: templateId,
      name,
      version,
    })),
    digest: plan.plan?.digest ?? null,
    summary: plan.plan === null ? null : counts(plan.plan.steps),
    createdAt: plan.createdAt,
    expiresAt: plan.expiresAt,
  };
}

function planOf(read: PlanRead): PlanView {
  const steps = read.plan.plan?.steps ?? [];
  return {
    ...planSummaryOf(read),
    steps: steps.map((step) => ({
      key: step.key,
      phase: step.phase,
      template: step.template,
      group: step.group,
      executor: step.executor,
      mark: step.mark,
      reason: step.reason,
      dependsOn: step.dependsOn,
      changes: step.changes,
    })),
  };
}

/** Groups by mark; checks and barriers are no groups. */
function counts(steps: readonly PlannedStep[]): PlanSummaryView["summary"] {
  const of = (mark: PlannedStep["mark"]): number =>
    steps.filter((step) => step.group !== null && step.mark === mark).length;
  return {
    exact: of("exact"),
    deferred: of("deferred"),
    unchanged: of("unchanged"),
    destroy: of("destroy"),
  };
}
