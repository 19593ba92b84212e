import { statusWhenStarted } from "../domain/environment-status.ts";
import type { Environment } from "../domain/environment.ts";
import { environmentEventData, runEventData } from "../domain/event-data.ts";
import type { NewEvent } from "../domain/event.ts";
import { exclusiveKinds, type Run } from "../domain/run.ts";
import { timestamp } from "../ports/clock.ts";
import type { Tx } from "../ports/store.ts";
import { advanceRun } from "./advance.ts";
import type { EngineDeps } from "./deps.ts";
import { planBasis } from "./plan-basis.ts";
import type { PlannedRun, PlanningInput } from "./plan-run.ts";
import { stepRows } from "./step-rows.ts";

/** A planned run, with what the transaction that begins it has found of it and of its environment. */
export interface Beginning extends PlanningInput {
  readonly planned: PlannedRun;
  /** Environments whose outputs it uses: it holds a shared use of them. */
  readonly uses: readonly string[];
  readonly fresh: Environment;
  readonly freshRun: Run;
  /** The run is not written yet. */
  readonly isNew?: boolean;
}

/**
 * Writes the beginning of a run: its steps, itself as running, its environment as held by it. Gives what is to be told with
 * its first steps. Whether it may begin is known by then.
 */
export async function beginRun(
  tx: Tx,
  deps: EngineDeps,
  of: Beginning,
): Promise<readonly NewEvent[]> {
  const { run, environment, fresh, freshRun } = of;
  const exclusive = exclusiveKinds.includes(run.kind);
  const now = timestamp(deps.clock);
  const rows = stepRows(deps, run, of.planned.steps);
  const beginning = {
    status: "running",
    stage: "steps",
    startedAt: now,
    reason: null,
    blocker: null,
    desired: run.desired,
    generation: run.generation,
    progress: begun(freshRun.progress, rows),
  } as const;
  const startedRun: Run = { ...freshRun, ...beginning };
  if (of.isNew === true) await tx.runs.insert(startedRun);
  else await tx.runs.update(run.id, beginning);
  if (of.uses.length > 0) await tx.runs.use(run.id, of.uses);
  const change = statusWhenStarted(run.kind);
  const patch: Partial<Environment> = {
    updatedAt: now,
    ...(exclusive ? { activeRun: run.id } : {}),
    ...(change === null ? {} : { status: change.status, reason: change.reason, failure: null }),
    // Whatever becomes of the destroy, what is left is not whole until it is made again.
    ...(run.kind === "destroy" ? { appliedGeneration: 0 } : {}),
  };
  if (exclusive)
    await tx.environments.update(environment.id, {
      ...patch,
      ...(run.kind === "create" || run.kind === "update" ? { outdated: false } : {}),
      ...(requiresOthers(of, fresh) ? { requires: of.uses } : {}),
    });
  if (of.planned.describes !== null && run.planId !== null) {
    await tx.plans.update(run.planId, {
      plan: of.planned.describes,
      basis: planBasis(deps, of),
    });
  }
  await tx.steps.insert(rows.steps, rows.dependsOn);
  const subject = `environments/${environment.name}`;
  const about = { environmentId: environment.id, subject, runId: run.id };
  const events = [
    { ...about, type: "run.started" as const, data: runEventData(startedRun) },
    ...(change === null || change.status === environment.status
      ? []
      : [{ ...about, type: change.event, data: environmentEventData({ ...fresh, ...patch }) }]),
  ];
  if (rows.steps.some(({ status }) => status === "ready")) return events;
  // A run whose every group is unchanged has nothing to claim, so it goes on to its checks or its end at once.
  await tx.events.append(events, now);
  await advanceRun(tx, deps, { facts: of.facts, runId: run.id });
  return [];
}

function begun(
  { done, total, failed, skipped }: Run["progress"],
  rows: { readonly steps: readonly unknown[]; readonly skipped: number },
): Run["progress"] {
  return {
    done: done + rows.skipped,
    total: total + rows.steps.length,
    failed,
    skipped: skipped + rows.skipped,
  };
}

/** Whether a create or update uses other environments than the row says. */
function requiresOthers({ run, uses }: Beginning, { requires }: Environment): boolean {
  if (run.kind !== "create" && run.kind !== "update") return false;
  return uses.length !== requires.length || uses.some((id) => !requires.includes(id));
}
