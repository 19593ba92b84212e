import { createHash } from "node:crypto";
import { setImmediate as pause } from "node:timers/promises";
import type { Environment } from "../domain/environment.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { Plan, PlannedStep, SavedPlan } from "../domain/plan.ts";
import { planApply, planDestroy, settingsOf } from "../domain/planner.ts";
import { groupKey, type GroupRecord } from "../domain/record.ts";
import type { OwnedSecret } from "../domain/secret.ts";
import { wantedRotations } from "../domain/secret-plan.ts";
import type { Run } from "../domain/run.ts";
import { canonicalJson, toJson } from "../lib/json.ts";
import type { EngineDeps } from "./deps.ts";
import type { RunFacts } from "./run-cache.ts";
import { staleness } from "./plan-basis.ts";
import { previousOf } from "./executor-context.ts";
import { fingerprintsOf, scopeOf } from "./step-inputs.ts";
import { checkSteps, looseStep } from "./step-rows.ts";

export interface PlanningInput {
  readonly run: Run;
  readonly facts: RunFacts;
  readonly environment: Environment;
  readonly records: readonly GroupRecord[];
  readonly secrets: readonly OwnedSecret[];
  /** The saved plan to apply, or null. */
  readonly saved: SavedPlan | null;
}

export interface PlannedRun {
  readonly steps: readonly PlannedStep[];
  /** For a plan that was asked for: the apply that it describes. */
  readonly describes: Plan | null;
}

/** So many steps are gone through between two turns of the event loop. */
const pauseEvery = 200;

/** The steps that a run consists of. Lets others work in between when there are many groups. Errors: `plan-stale`. */
export async function planRun(deps: EngineDeps, input: PlanningInput): Promise<PlannedRun> {
  if (input.run.kind !== "plan") return { steps: await runSteps(deps, input), describes: null };
  const planned = await plannedApply(deps, input);
  const digest = await digestOf(planned);
  const steps = await foreseen(deps, input, planned);
  return {
    steps: planningSteps(deps, steps, input.records),
    describes: { formatVersion: 1, steps, digest },
  };
}

async function runSteps(deps: EngineDeps, input: PlanningInput): Promise<readonly PlannedStep[]> {
  const { run, facts, records, secrets } = input;
  switch (run.kind) {
    case "create":
    case "update":
      return [...(await applySteps(deps, input)), ...checkSteps(facts.template.body)];
    case "destroy":
      return planDestroy(records, secrets);
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
    secrets: input.secrets,
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
  { run, facts, records, secrets }: PlanningInput,
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
    secrets,
    rotations: wantedRotations(run, template.name),
    scope,
    fingerprints: fingerprintsOf(deps, facts),
  });
  for (;;) {
    const next = planning.next();
    if (next.done === true) return next.value;
    await pause();
  }
}

/** SHA-256 of the canonical steps, in hex. */
async function digestOf(steps: readonly PlannedStep[]): Promise<string> {
  const hash = createHash("sha256").update("[");
  for (const [index, step] of steps.entries()) {
    if (index % pauseEvery === pauseEvery - 1) await pause();
    hash.update(`${index === 0 ? "" : ","}${canonicalJson(toJson(step))}`);
  }
  return hash.update("]").digest("hex");
}

/** The steps with what those executors would do that can say it without looking at anything. */
async function foreseen(
  deps: EngineDeps,
  { facts, records, secrets }: PlanningInput,
  planned: readonly PlannedStep[],
): Promise<readonly PlannedStep[]> {
  const scope = scopeOf(facts, records, secrets);
  const known = new Map(records.map((record) => [groupKey(record.template, record.group), record]));
  const steps: PlannedStep[] = [];
  for (const [index, step] of planned.entries()) {
    if (index % pauseEvery === pauseEvery - 1) await pause();
    const name = step.group ?? "";
    const group = facts.template.body.groups[name];
    const foresee = deps.executors.get(step.executor ?? "")?.foresee;
    if (!isPlannable(step) || group === undefined || foresee === undefined) steps.push(step);
    else {
      const settings = settingsOf(name, group, scope);
      const previous = previousOf(known.get(groupKey(step.template, name)) ?? null);
      steps.push({ ...step, changes: foresee({ group: name, settings, previous }) });
    }
  }
  return steps;
}

/**
 * A plan that is asked for: each step that can be planned by itself and whose executor must look gets a `plan` step, which
 * asks what would be done and changes nothing. Deferred and unchanged groups have nothing to ask.
 */
function planningSteps(
  deps: EngineDeps,
  planned: readonly PlannedStep[],
  records: readonly GroupRecord[],
): readonly PlannedStep[] {
  const known = new Set(records.map((record) => record.group));
  return planned
    .filter(
      (step) => isPlannable(step) && deps.executors.get(step.executor ?? "")?.foresee === undefined,
    )
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

function isPlannable({ group, phase, mark }: PlannedStep): boolean {
  return group !== null && phase === "apply" && mark === "exact";
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
