import type { PlannedStep } from "../domain/plan.ts";
import { timestamp } from "../ports/clock.ts";
import type { Run } from "../domain/run.ts";
import type { Step } from "../domain/step.ts";
import { GlasshouseError } from "../domain/errors.ts";
import { runsOnMember, sortedLabels } from "../domain/label.ts";
import type { TemplateBody } from "../domain/template.ts";
import { checksOf, type TemplateCheck } from "../domain/template-checks.ts";
import type { Json } from "../lib/json.ts";
import type { EngineDeps } from "./deps.ts";

/** Steps with their ids and edges, ready to be inserted. */
export interface StepRows {
  readonly steps: readonly Step[];
  /** By index into `steps`. */
  readonly dependsOn: readonly (readonly number[])[];
  /** How many of them need nothing done: they are inserted as skipped. */
  readonly skipped: number;
}

/** Gives planned steps their ids. Steps that nothing precedes are ready; unchanged ones that wait on nothing are skipped at once. */
export function stepRows(
  deps: Pick<EngineDeps, "clock">,
  run: Pick<Run, "id" | "environmentId">,
  planned: readonly PlannedStep[],
): StepRows {
  const now = timestamp(deps.clock);
  const indexes = new Map(planned.map((step, index) => [step.key, index]));
  const dependsOn = planned.map((step) => step.dependsOn.map((key) => indexOf(indexes, key)));
  const steps = planned.map((step, index): Step => {
    const waitingOn = dependsOn[index]?.length ?? 0;
    const skipped = step.mark === "unchanged" && waitingOn === 0;
    const gated = step.phase === "check";
    return {
      id: deps.clock.id("step"),
      runId: run.id,
      environmentId: run.environmentId,
      key: step.key,
      phase: step.phase,
      template: step.template,
      group: step.group,
      executor: step.executor,
      status: skipped ? "skipped" : waitingOn > 0 || gated ? "blocked" : "ready",
      reason: step.reason,
      failure: null,
      waitingOn,
      token: 0,
      worker: null,
      attempts: 0,
      retry: step.retry,
      timeoutMs: step.timeoutMs,
      onFailure: step.onFailure,
      runsOn: sortedLabels(step.runsOn ?? []),
      availableAt: null,
      mark: step.mark,
      changes: step.changes,
      input: step.input,
      createdAt: now,
      startedAt: null,
      finishedAt: skipped ? now : null,
    };
  });
  return { steps, dependsOn, skipped: steps.filter((step) => step.status === "skipped").length };
}

/** The template's checks as steps behind the gate: they open when all else is done. */
export function checkSteps(body: TemplateBody): readonly PlannedStep[] {
  return checksOf(body).map((check) => checkStep(body.name, check));
}

/** A step that looks at every recorded group, or makes a plan of it, each by itself. */
export function looseStep(
  of: Pick<PlannedStep, "phase" | "template" | "group" | "executor" | "reason" | "timeoutMs"> & {
    readonly input?: Json;
    readonly mark?: PlannedStep["mark"];
    readonly name?: string;
    readonly retry?: PlannedStep["retry"];
    readonly runsOn?: readonly string[] | undefined;
  },
): PlannedStep {
  return {
    key: `${of.phase}:${of.template}/${of.name ?? of.group ?? ""}`,
    phase: of.phase,
    template: of.template,
    group: of.group,
    executor: of.executor,
    mark: of.mark ?? "exact",
    reason: of.reason,
    dependsOn: [],
    retry: of.retry ?? { attempts: 2, backoffMs: 2_000 },
    timeoutMs: of.timeoutMs,
    onFailure: "stop",
    ...runsOnMember(of.runsOn),
    changes: [],
    input: of.input ?? null,
  };
}

function checkStep(template: string, { key, check, group, runsOn }: TemplateCheck): PlannedStep {
  return {
    key: `check:${key}`,
    phase: "check",
    template,
    group,
    executor: "check",
    mark: "exact",
    reason:
      check.description === "" ? "it must pass before the environment is ok" : check.description,
    dependsOn: [],
    retry: { attempts: 1, backoffMs: 0 },
    timeoutMs: check.withinMs,
    onFailure: "stop",
    ...runsOnMember(runsOn),
    changes: [],
    input: { key },
  };
}

function indexOf(indexes: ReadonlyMap<string, number>, key: string): number {
  const index = indexes.get(key);
  if (index === undefined)
    throw new GlasshouseError("internal", `The plan names a step ${key} that it does not have.`);
  return index;
}
