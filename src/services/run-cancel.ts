import type { Environment } from "../domain/environment.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { NewEvent } from "../domain/event.ts";
import { isEnded, type Run } from "../domain/run.ts";
import { isJsonObject, toJson } from "../lib/json.ts";
import type { Tx } from "../ports/store.ts";
import type { Asked, Effect } from "./effect.ts";
import { environmentEvent } from "./environment-update.ts";
import { isApply, runEvent } from "./queue.ts";
import { endQueued } from "./run-end.ts";
import { subjectRun } from "./run-find.ts";

/**
 * Cancels a run: at once while it is queued, else gently by the engine; asked a second time, its children are killed.
 * Errors: `conflict` when it has ended.
 */
export async function prepareCancel({ request, data }: Asked<"run.cancel">): Promise<Effect> {
  return async (tx, now) => {
    const { run, environment } = await subjectRun(tx, request, data.run);
    if (isEnded(run)) {
      throw new GlasshouseError(
        "conflict",
        `Run ${run.id} of ${environment.name} has ended already (${run.status}), so there is nothing to cancel.`,
      );
    }
    const of = { run, environment, now };
    const events =
      run.status === "queued" ? await cancelQueued(tx, of) : await requestCancel(tx, of);
    return {
      status: "completed",
      environmentId: environment.id,
      runId: run.id,
      data: toJson(data),
      events,
    };
  };
}

/**
 * Lets a run go on that waits for approval: what it has shown it would do. Errors: `conflict` when it waits for nothing
 * of the kind.
 */
export async function prepareApprove({ request, data }: Asked<"run.approve">): Promise<Effect> {
  return async (tx, now) => {
    const { run, environment } = await subjectRun(tx, request, data.run);
    if (run.status !== "waiting" || run.blocker?.kind !== "approval") {
      throw new GlasshouseError(
        "conflict",
        `Run ${run.id} of ${environment.name} does not wait for approval: it is ${run.status}${run.reason === null ? "" : ` (${run.reason})`}.`,
      );
    }
    const keys: string[] = [];
    for (const key of run.blocker.on) {
      const step = await tx.steps.byKey(run.id, key);
      if (step?.status !== "waiting") continue;
      // A step that waits for another reason in the same run is not what was approved.
      if (step.failure?.code !== "conflict") continue;
      const input = isJsonObject(step.input) ? step.input : {};
      await tx.steps.setInput(step.id, { ...input, approved: true });
      keys.push(key);
    }
    if (keys.length === 0) {
      throw new GlasshouseError(
        "conflict",
        `None of the steps of run ${run.id} waits for approval any more: retry or cancel it.`,
      );
    }
    const reason = `approved by ${request.actor}`;
    const patch = { status: "running", reason: null, blocker: null } as const;
    await tx.runs.update(run.id, patch);
    await tx.steps.moveAll(run.id, { from: ["waiting"], to: "ready", reason, now, keys });
    return {
      status: "completed",
      environmentId: environment.id,
      runId: run.id,
      data: toJson(data),
      events: [runEvent("run.started", { ...run, ...patch }, environment.name)],
    };
  };
}

interface Cancelling {
  readonly run: Run;
  readonly environment: Environment;
  readonly now: string;
}

async function requestCancel(tx: Tx, of: Cancelling): Promise<readonly NewEvent[]> {
  const { run, environment, now } = of;
  const patch =
    run.cancelRequestedAt === null ? { cancelRequestedAt: now } : { killRequested: true };
  await tx.runs.update(run.id, patch);
  return [runEvent("run.progressed", { ...run, ...patch }, environment.name)];
}

async function cancelQueued(tx: Tx, of: Cancelling): Promise<readonly NewEvent[]> {
  const { run, environment, now } = of;
  const reason = `the ${run.kind} was cancelled before it began`;
  const ended = await endQueued(tx, { run, environment, status: "cancelled", reason, now });
  if (!(await leavesItFailed(tx, of))) return ended;
  const patch = {
    status: "deployed-failed",
    reason,
    updatedAt: now,
  } as const;
  await tx.environments.update(environment.id, patch);
  return [...ended, environmentEvent("environment.failed", { ...environment, ...patch })];
}

/** What was wanted is not made, and nothing else is on its way to make or destroy it. */
async function leavesItFailed(tx: Tx, { run, environment }: Cancelling): Promise<boolean> {
  const queue = await tx.runs.queue(environment.id);
  const active = environment.activeRun === null ? null : await tx.runs.get(environment.activeRun);
  const others = [
    ...queue.filter((other) => other.id !== run.id),
    ...(active === null ? [] : [active]),
  ];
  if (run.kind === "destroy") {
    return environment.status === "destroying" && !others.some((other) => other.kind === "destroy");
  }
  return (
    isApply(run) && environment.status === "deploying" && !others.some((other) => isApply(other))
  );
}
