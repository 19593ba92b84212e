import { setImmediate as pause } from "node:timers/promises";
import type { Environment } from "../domain/environment.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { PlannedStep, SavedPlan } from "../domain/plan.ts";
import { planApply, planDestroy } from "../domain/planner.ts";
import type { GroupRecord } from "../domain/record.ts";
import type { Run } from "../domain/run.ts";
import type { EngineDeps } from "./deps.ts";
import type { RunFacts } from "./run-cache.ts";
import { staleness } from "./plan-basis.ts";
import { fingerprintsOf } from "./step-inputs.ts";
import { checkSteps, looseStep } from "./step-rows.ts";

export interface PlanningInput {
  readonly run: Run;
  readonly facts: RunFacts;
  readonly environment: Environment;
  readonly records: readonly GroupRecord[];
  /** The saved plan to apply, or null. */
  readonly saved: SavedPlan | null;
}

export interface PlannedRun {
  readonly steps: readonly PlannedStep[];
  /** For a plan that was asked for: the apply that it describes. */
  readonly describes: readonly PlannedStep[] | null;
}

/** The steps that a run consists of. Lets others work in between when there are many groups. Errors: `plan-stale`. */
export async function planRun(deps: EngineDeps, input: PlanningInput): Promise<PlannedRun> {
  if (input.run.kind !== "plan") return { steps: await runSteps(deps, input), describes: null };
  const describes = await plannedApply(deps, input);
  return { steps: planningSteps(describes, input.records), describes };
}

async function runSteps(deps: EngineDeps, input: PlanningInput): Promise<readonly PlannedStep[]> {
  const { run, facts, records } = input;
  switch (run.kind) {
    case "create":
    case "update":
      return [...(await applySteps(deps, input)), ...checkSteps(facts.template.body)];
    case "destroy":
      return planDestroy(records);
    case "validate":
      return checkSteps(facts.template.body);
    case "refresh":
      return records.map((record) =>
        looseStep({ ...record, phase: "observe", reason: "its real state is looked at" }),
      );
    case "action":
      return [actionStep(input)];
    case "plan":
      return [];
  }
}

async function applySteps(deps: EngineDeps, input: PlanningInput): Promise<readonly PlannedStep[]> {
  const { saved } = input;
  if (saved === null) return plannedApply(deps, input);
  const moved = staleness(deps, {
    plan: saved,
    facts: input.facts,
    records: input.records,
    environment: input.environment,
  });
  if (moved !== null || saved.plan === null) {
    throw new GlasshouseError(
      "plan-stale",
      `Plan ${saved.id} cannot be applied: ${moved ?? "it was never finished"}.`,
    );
  }
  return saved.plan.steps;
}

/** Drives the pure planner, with a pause wherever it offers one. */
async function plannedApply(
  deps: EngineDeps,
  { facts, records }: PlanningInput,
): Promise<readonly PlannedStep[]> {
  const { parameters, requires, environment, template } = facts;
  const scope = {
    parameters,
    requires,
    environment,
    entrypoints: {},
    declared: template.body.parameters,
  };
  const planning = planApply({
    template: template.body,
    records,
    scope,
    fingerprints: fingerprintsOf(deps, facts),
  });
  for (;;) {
    const next = planning.next();
    if (next.done === true) return next.value;
    await pause();
  }
}

/**
 * A plan that is asked for: each step that can be planned by itself gets a `plan` step, which asks its executor what it
 * would do and changes nothing. Deferred and unchanged groups have nothing to ask.
 */
function planningSteps(
  planned: readonly PlannedStep[],
  records: readonly GroupRecord[],
): readonly PlannedStep[] {
  const known = new Set(records.map((record) => record.group));
  return planned
    .filter((step) => step.group !== null && step.phase === "apply" && step.mark === "exact")
    .map((step) =>
      looseStep({
        phase: "plan",
        template: step.template,
        group: step.group,
        executor: step.executor,
        reason: known.has(step.group ?? "")
          ? "what would change is looked at"
          : "what would be made is looked at",
        timeoutMs: step.timeoutMs,
        runsOn: step.runsOn,
      }),
    );
}

function actionStep({ run, facts }: PlanningInput): PlannedStep {
  const action = facts.template.body.actions[run.action ?? ""];
  if (action === undefined) {
    throw new GlasshouseError(
      "not-found",
      `Template ${facts.template.name}@${facts.template.version} has no action "${run.action ?? ""}".`,
    );
  }
  return looseStep({
    phase: "action",
    template: facts.template.name,
    group: null,
    name: run.action ?? "",
    executor: "command",
    reason: action.description === "" ? "it was asked for" : action.description,
    timeoutMs: action.timeoutMs,
    runsOn: action.runsOn,
    retry: { attempts: 1, backoffMs: 0 },
    input: { action: run.action },
  });
}
