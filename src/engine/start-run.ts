import { GlasshouseError, failureOf, mayPass } from "../domain/errors.ts";
import type { NewEvent } from "../domain/event.ts";
import type { SavedPlan } from "../domain/plan.ts";
import { exclusiveKinds, type Blocker, type Run } from "../domain/run.ts";
import type { ReadTx, Tx } from "../ports/store.ts";
import type { Attempts } from "./attempts.ts";
import { beginRun } from "./begin-run.ts";
import { blockerOf } from "./blockers.ts";
import type { EngineDeps } from "./deps.ts";
import { endRun } from "./end-run.ts";
import { planRun, type PlannedRun, type PlanningInput } from "./plan-run.ts";
import type { RunCache } from "./run-cache.ts";

/** A run of more steps is inserted by itself: it would keep others waiting. */
export const briefSteps = 100;

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
  return beginRun(tx, deps, { ...of, fresh, freshRun });
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
  if (mayPass(error)) throw error;
  const failure = failureOf(error);
  await deps.store.transact(async (tx) => {
    const fresh = await tx.runs.get(run.id);
    if (fresh?.status === "queued")
      await endRun(tx, deps, { run: fresh, status: "failed", failure });
  });
  return false;
}
