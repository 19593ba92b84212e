import { statusWhenEnded, type StatusChange } from "../domain/environment-status.ts";
import { mayMove, type Environment } from "../domain/environment.ts";
import type { Failure } from "../domain/errors.ts";
import { commandEventData, environmentEventData, runEventData } from "../domain/event-data.ts";
import type { EventType, NewEvent } from "../domain/event.ts";
import { exclusiveKinds, type Run } from "../domain/run.ts";
import type { StepStatus } from "../domain/step.ts";
import { timestamp } from "../ports/clock.ts";
import type { Tx } from "../ports/store.ts";
import type { EngineDeps } from "./deps.ts";
import { finishPlan } from "./finish-plan.ts";

export interface RunEnd {
  readonly run: Run;
  readonly status: "succeeded" | "failed" | "cancelled";
  readonly failure: Failure | null;
}

const cancellable: readonly StepStatus[] = ["ready", "blocked", "waiting"];

/**
 * Ends a run: its commands, its environment's status, the queue's fence and what hangs on it, all in the caller's
 * transaction. Steps that were never reached stay `blocked` after a failure, so that `run.retry` can go on from there.
 */
export async function endRun(tx: Tx, deps: EngineDeps, end: RunEnd): Promise<void> {
  const { run, status, failure } = end;
  const now = timestamp(deps.clock);
  if (status === "cancelled")
    await tx.steps.moveAll(run.id, {
      from: cancellable,
      to: "cancelled",
      reason: "the run was cancelled",
      now,
    });
  const ending = {
    status,
    failure,
    reason: reasonOf(end),
    blocker: null,
    stage: "ended",
    finishedAt: now,
  } as const;
  await tx.runs.update(run.id, ending);
  await tx.runs.releaseUses(run.id);
  const planEvents = await finishPlan(tx, { run, status, failure });
  const [environment, commands] = await Promise.all([
    tx.environments.get(run.environmentId),
    tx.commands.settleRun(run.id, {
      status: commandStatus(status),
      failure: commandFailure(end),
      finishedAt: now,
    }),
  ]);
  const about = {
    environmentId: run.environmentId,
    subject: `environments/${environment?.name ?? run.environmentId}`,
    runId: run.id,
  };
  const events: NewEvent[] = [
    { ...about, type: runEvent(status), data: runEventData({ ...run, ...ending }) },
  ];
  if (environment !== null)
    events.push(...(await settleEnvironment(tx, { ...end, environment, now })));
  for (const command of commands) {
    events.push({
      ...about,
      type: status === "succeeded" ? "command.completed" : "command.failed",
      commandId: command.id,
      data: commandEventData(command),
    });
  }
  await tx.events.append([...events, ...planEvents.map((event) => ({ ...about, ...event }))], now);
  await deps.settings.failpoint("run.ending");
}

function reasonOf({ run, status, failure }: RunEnd): string | null {
  if (status === "cancelled") return "it was cancelled";
  return failure?.message ?? (status === "succeeded" ? null : (run.reason ?? "it failed"));
}

function runEvent(status: RunEnd["status"]): EventType {
  return `run.${status}`;
}

function commandStatus(status: RunEnd["status"]): "completed" | "failed" | "cancelled" {
  return status === "succeeded" ? "completed" : status;
}

function commandFailure(end: RunEnd): Failure | null {
  if (end.status === "succeeded") return null;
  if (end.status === "cancelled") return { code: "cancelled", message: "The run was cancelled." };
  return end.failure;
}

/** The environment's new status, its freed fence, and the events that say so. */
async function settleEnvironment(
  tx: Tx,
  end: RunEnd & { readonly environment: Environment; readonly now: string },
): Promise<readonly NewEvent[]> {
  const { run, status, environment, failure, now } = end;
  if (run.kind === "refresh") return settleDrift(tx, { run, environment, now });
  if (!exclusiveKinds.includes(run.kind)) return [];
  const own = statusWhenEnded(
    run.kind,
    { status, detail: failure?.message ?? "it failed" },
    environment,
  );
  const change = await withQueue(tx, own, environment);
  const applies = run.kind === "create" || run.kind === "update";
  const applied = applies && status === "succeeded";
  const destroyed = change?.status === "destroyed";
  const patch: Partial<Environment> = {
    updatedAt: now,
    ...(environment.activeRun === run.id ? { activeRun: null } : {}),
    ...(change === null
      ? {}
      : {
          status: change.status,
          reason: change.reason,
          failure: status === "failed" ? failure : null,
        }),
    ...(applies ? realityAfter(end) : {}),
    ...(destroyed ? { destroyedAt: now, entrypoints: {}, outputs: {}, requires: [] } : {}),
  };
  await tx.environments.update(environment.id, patch);
  if (destroyed) await forgetBelongings(tx, environment.id);
  const about = {
    environmentId: environment.id,
    subject: `environments/${environment.name}`,
    runId: run.id,
  };
  const after = { ...environment, ...patch };
  const updated =
    applied && run.kind === "update"
      ? [{ ...about, type: "environment.updated" as const, data: environmentEventData(after) }]
      : [];
  const changed =
    change === null ? [] : [{ ...about, type: change.event, data: environmentEventData(after) }];
  return [...updated, ...changed];
}

/**
 * What is queued next decides with: an environment whose destroy waits stays `destroying`, one whose update waits stays
 * `deploying`. A run that ended well or badly does not move it back.
 */
async function withQueue(
  tx: Tx,
  change: StatusChange | null,
  environment: Environment,
): Promise<StatusChange | null> {
  if (change === null || change.status === "destroyed") return change;
  const queued = await tx.runs.queue(environment.id);
  const destroy = queued.some((run) => run.kind === "destroy");
  const apply = queued.some((run) => run.kind === "create" || run.kind === "update");
  if (!destroy && !apply) return change;
  const status = destroy ? "destroying" : "deploying";
  if (!mayMove(environment.status, status)) return change;
  const reason = destroy ? "its destroy is queued" : "an update is queued";
  return { status, reason, event: destroy ? "environment.destroying" : "environment.deploying" };
}

/**
 * Once its checks opened, everything wanted was made, whatever they say: `environment.validate` can find it well later. A run
 * that ended before that, after it began, leaves nothing whole, also when it repeated the generation that was made.
 */
function realityAfter(
  end: RunEnd & { readonly environment: Environment },
): Partial<Pick<Environment, "appliedGeneration" | "drifted">> {
  const { run, status, environment } = end;
  if (status === "succeeded" || run.stage === "checks")
    return { appliedGeneration: run.generation, drifted: false };
  if (run.startedAt === null) return {};
  return { appliedGeneration: Math.min(environment.appliedGeneration, run.generation - 1) };
}

/** A destroyed environment keeps its row and its history; secrets, states, records' leftovers and checks go. */
async function forgetBelongings(tx: Tx, environmentId: string): Promise<void> {
  const secrets = await tx.secrets.ofEnvironment(environmentId);
  await tx.secrets.remove(secrets.map((secret) => secret.id));
  for (const { template, name } of await tx.ownedSecrets.ofEnvironment(environmentId))
    await tx.ownedSecrets.remove(environmentId, template, name);
  await tx.states.removeEnvironment(environmentId);
  await tx.checks.keepOnly(environmentId, []);
}

async function settleDrift(
  tx: Tx,
  of: { readonly run: Run; readonly environment: Environment; readonly now: string },
): Promise<readonly NewEvent[]> {
  const records = await tx.records.list(of.environment.id);
  const drifted = records.some(
    (record) => record.drift === "drifted" || record.drift === "missing",
  );
  if (drifted === of.environment.drifted) return [];
  await tx.environments.update(of.environment.id, { drifted, updatedAt: of.now });
  const after = { ...of.environment, drifted };
  const type = drifted ? "environment.drifted" : "environment.undrifted";
  return [
    {
      type,
      environmentId: after.id,
      subject: `environments/${after.name}`,
      runId: of.run.id,
      data: environmentEventData(after),
    },
  ];
}
