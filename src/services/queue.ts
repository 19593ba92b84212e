import type { Environment } from "../domain/environment.ts";
import { GlasshouseError } from "../domain/errors.ts";
import { runEventData } from "../domain/event-data.ts";
import type { NewEvent } from "../domain/event.ts";
import type { Run, RunKind, RunOptions } from "../domain/run.ts";
import type { Tx } from "../ports/store.ts";
import type { Asking } from "./asking.ts";
import type { ServiceLimits, Services } from "./deps.ts";
import { refuseUnserved } from "./worker.ts";

export interface NewRun {
  readonly id: string;
  readonly environment: Pick<Environment, "id" | "desired" | "generation">;
  readonly kind: RunKind;
  readonly now: string;
  readonly planId?: string;
  readonly action?: string;
  readonly options?: { readonly [K in keyof RunOptions]?: RunOptions[K] | undefined };
}

/** A run as it enters the queue. */
export function queuedRun(limits: Pick<ServiceLimits, "parallelism">, of: NewRun): Run {
  return {
    id: of.id,
    environmentId: of.environment.id,
    kind: of.kind,
    status: "queued",
    reason: null,
    blocker: null,
    failure: null,
    desired: of.environment.desired,
    generation: of.environment.generation,
    planId: of.planId ?? null,
    action: of.action ?? null,
    options: {
      deferred: of.options?.deferred ?? "safe",
      parallelism: of.options?.parallelism ?? limits.parallelism,
    },
    formatVersion: 1,
    attempt: 1,
    progress: { done: 0, total: 0, failed: 0, skipped: 0 },
    stage: "steps",
    cancelRequestedAt: null,
    killRequested: false,
    createdAt: of.now,
    startedAt: null,
    finishedAt: null,
  };
}

/**
 * Puts a run at the end of its environment's queue. Errors: `too-many` when the queue or all queues together are full,
 * `no-worker` when nobody is there who could do what it is sure to do.
 */
export async function enqueue(
  tx: Tx,
  deps: Pick<Services, "limits" | "room">,
  of: {
    readonly run: Run;
    readonly environmentName: string;
    readonly asking: readonly Asking[];
    /** The environment was made in this transaction: nothing else waits for it, and the run is written with what begins it. */
    readonly isFirst?: boolean;
  },
): Promise<NewEvent> {
  const { run, environmentName } = of;
  await refuseUnserved(tx, of.asking);
  const { queuedRuns, queuedRunsOfEnvironment } = deps.limits;
  const own = of.isFirst === true ? [] : await tx.runs.queue(run.environmentId);
  if (own.length >= queuedRunsOfEnvironment) {
    throw new GlasshouseError(
      "too-many",
      `Environment ${environmentName} has ${own.length} runs in its queue, and at most ${queuedRunsOfEnvironment} may wait: try again when some have ended.`,
    );
  }
  await deps.room.take(tx, queuedRuns);
  if (of.isFirst !== true) await tx.runs.insert(run);
  return runEvent("run.queued", run, environmentName);
}

export function runEvent(
  type: Extract<NewEvent["type"], `run.${string}`>,
  run: Run,
  environmentName: string,
): NewEvent {
  return {
    type,
    environmentId: run.environmentId,
    subject: `environments/${environmentName}`,
    runId: run.id,
    data: runEventData(run),
  };
}

/** The queued create or update that has not started: whatever is wanted until it starts is taken by it. */
export function joinable(queue: readonly Run[]): Run | null {
  return queue.find((run) => isApply(run) && run.planId === null) ?? null;
}

export function isApply(run: Pick<Run, "kind">): boolean {
  return run.kind === "create" || run.kind === "update";
}
