import { planBasis } from "./plan-basis.ts";
import { statusWhenStarted } from "../domain/environment-status.ts";
import type { Environment } from "../domain/environment.ts";
import { GlasshouseError, failureOf } from "../domain/errors.ts";
import { environmentEventData, runEventData } from "../domain/event-data.ts";
import type { NewEvent } from "../domain/event.ts";
import type { SavedPlan } from "../domain/plan.ts";
import { exclusiveKinds, type Blocker, type Run } from "../domain/run.ts";
import { timestamp } from "../ports/clock.ts";
import type { ReadTx, Tx } from "../ports/store.ts";
import { advanceRun } from "./advance.ts";
import type { Attempts } from "./attempts.ts";
import { blockerOf } from "./blockers.ts";
import type { EngineDeps } from "./deps.ts";
import { endRun } from "./end-run.ts";
import { planRun, type PlannedRun, type PlanningInput } from "./plan-run.ts";
import type { RunCache } from "./run-cache.ts";
import { stepRows } from "./step-rows.ts";

/** A run of more steps is inserted by itself: it would keep others waiting. */
const briefSteps = 100;

/**
 * Starts a queued run from the head of its queue when what it requires is there: plans it, and starts it and claims its first
 * steps in one transaction that checks that nothing has moved meanwhile. Safe to repeat; false when it still waits or is gone.
 */
export async function startRun(
  deps: EngineDeps,
  attempts: Pick<Attempts, "within">,
  looked: Looked,
): Promise<boolean> {
  if (looked.blocker !== null) return blocked(deps, looked.run, looked.blocker);
  let planned: PlannedRun;
  try {
    planned = await planRun(deps, looked);
  } catch (error) {
    return refused(deps, looked.run, error);
  }
  await deps.settings.failpoint("run.planned");
  const started = await attempts.within(
    async (tx) => {
      const events = await begin(tx, deps, { ...looked, planned });
      return { facts: events === null ? null : looked.facts, events: events ?? [] };
    },
    { brief: planned.steps.length <= briefSteps },
  );
  if (started === null) return false;
  await deps.settings.failpoint("run.started");
  return true;
}

/** A queued run with what it is planned from and what stands in its way. */
export interface Looked extends PlanningInput {
  readonly blocker: (Blocker & { readonly reason: string }) | null;
  /** Environments whose outputs it uses: it holds a shared use of them. */
  readonly uses: readonly string[];
}

/**
 * The newest desired state is what a create, update or destroy takes; a saved plan and a plan bring their own. Null when the
 * run is not at the head of its queue any more.
 */
export async function look(tx: ReadTx, cache: RunCache, queued: Run): Promise<Looked | null> {
  if (queued.status !== "queued") return null;
  // All that it may be planned from at once: each question after another is a way to the database and back.
  const { id, environmentId } = queued;
  const [environment, records, secrets, commands, users] = await Promise.all([
    tx.environments.get(environmentId),
    tx.records.list(environmentId),
    // All of them: also those of another version of the template have to go some day.
    tx.ownedSecrets.ofEnvironment(environmentId),
    tx.commands.ofRun(id),
    tx.runs.usersOf(environmentId),
  ]);
  if (environment === null) return null;
  const exclusive = exclusiveKinds.includes(queued.kind);
  if (exclusive && environment.activeRun !== null) return null;
  const run: Run =
    queued.kind === "plan"
      ? queued
      : { ...queued, desired: environment.desired, generation: environment.generation };
  const facts = await cache.load(tx, { run, environment, commands });
  const { blocker, uses } = await blockerOf(tx, run, { environment, facts, users });
  const saved: SavedPlan | null =
    run.planId === null || run.kind === "plan" ? null : await tx.plans.get(run.planId);
  return { run, facts, environment, records, secrets, saved, blocker, uses };
}

interface Planned extends Looked {
  readonly planned: PlannedRun;
}

/** Gives what is to be told of it with its first steps. Null: it may not begin after all, and nothing was changed. */
async function begin(tx: Tx, deps: EngineDeps, of: Planned): Promise<readonly NewEvent[] | null> {
  const { run, environment } = of;
  const now = timestamp(deps.clock);
  // The environment first: it is held from there on.
  const [fresh, freshRun, users] = await Promise.all([
    tx.environments.get(environment.id),
    tx.runs.get(run.id),
    tx.runs.usersOf(environment.id),
  ]);
  if (freshRun?.status !== "queued" || fresh === null) return null;
  const exclusive = exclusiveKinds.includes(run.kind);
  if (fresh.generation !== environment.generation || (exclusive && fresh.activeRun !== null))
    return null;
  // What it requires may have gone, and a user of it may have come, while it was planned.
  const { blocker } = await blockerOf(tx, run, { environment: fresh, facts: of.facts, users });
  if (blocker !== null) return null;
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
  await tx.runs.update(run.id, beginning);
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
  const startedRun: Run = { ...freshRun, ...beginning };
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
function requiresOthers({ run, uses }: Looked, { requires }: Environment): boolean {
  if (run.kind !== "create" && run.kind !== "update") return false;
  return uses.length !== requires.length || uses.some((id) => !requires.includes(id));
}

/** Says in the run what it waits for; writes only when that has changed. */
async function blocked(
  deps: EngineDeps,
  run: Run,
  { reason, kind, on }: Blocker & { readonly reason: string },
): Promise<false> {
  if (run.reason === reason && run.blocker?.kind === kind) return false;
  await deps.store.transact(async (tx) => {
    const fresh = await tx.runs.get(run.id);
    if (fresh?.status === "queued") await tx.runs.update(run.id, { reason, blocker: { kind, on } });
  });
  return false;
}

/** A run that cannot be planned ends as failed with the reason; it has changed nothing. */
async function refused(deps: EngineDeps, run: Run, error: unknown): Promise<false> {
  if (!(error instanceof GlasshouseError))
    deps.log.error("A run could not be planned", { runId: run.id, error });
  if (error instanceof GlasshouseError && error.row.kind === "transient") throw error;
  const failure = failureOf(error);
  await deps.store.transact(async (tx) => {
    const fresh = await tx.runs.get(run.id);
    if (fresh?.status === "queued")
      await endRun(tx, deps, { run: fresh, status: "failed", failure });
  });
  return false;
}
