import type { ErrorCode, Failure } from "./errors.ts";
import type { Desired } from "./environment.ts";

/** One execution of a plan. A queued run is also the environment's queue: the oldest goes first. */
export interface Run {
  readonly id: string;
  readonly environmentId: string;
  readonly kind: RunKind;
  readonly status: RunStatus;
  /** What it waits for or why it ended, for people. */
  readonly reason: string | null;
  /** What it waits for, for programs. */
  readonly blocker: Blocker | null;
  readonly failure: Failure | null;
  /** What it was started for; fixed when it leaves the queue. */
  readonly desired: Desired;
  readonly generation: number;
  /** The saved plan that it applies, or null. */
  readonly planId: string | null;
  /** Name of the action, for `action`. */
  readonly action: string | null;
  readonly options: RunOptions;
  readonly formatVersion: number;
  /** Raised by each `run.retry`. */
  readonly attempt: number;
  readonly progress: Progress;
  /** `steps` until they are done, then `checks`, then `ended`. */
  readonly stage: "steps" | "checks" | "ended";
  readonly cancelRequestedAt: string | null;
  /** Asked twice: children are killed, not only interrupted. */
  readonly killRequested: boolean;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
}

export interface RunOptions {
  /** Where a deferred group needs a destroy or replace: ask, go on when only additions (`safe`), or go on (`any`). */
  readonly deferred: "ask" | "safe" | "any";
  readonly parallelism: number;
}

export interface Progress {
  readonly done: number;
  readonly total: number;
  readonly failed: number;
  readonly skipped: number;
}

export type RunKind = "create" | "update" | "destroy" | "validate" | "refresh" | "action" | "plan";
export type RunStatus =
  | "queued"
  | "running"
  | "waiting"
  | "succeeded"
  | "failed"
  | "cancelled"
  | "superseded";

/** Kinds that hold the environment's queue and its fence. Plan and refresh read a copy and hold nothing. */
export const exclusiveKinds: readonly RunKind[] = [
  "create",
  "update",
  "destroy",
  "action",
  "validate",
];

/**
 * What work waits for that failed with this code: room on a disk, or something that is away or was taken away. It is no failure
 * of the work, and goes on by itself. Null: the work failed.
 */
export function pauseOf(code: ErrorCode): "storage" | "dependency" | null {
  if (code === "storage-full") return "storage";
  return code === "unavailable" || code === "credentials-ended" ? "dependency" : null;
}

export interface Blocker {
  readonly kind:
    | "queue"
    | "requirement"
    | "use"
    | "outcome-unknown"
    | "suspected-leak"
    | "approval"
    | "dependency"
    | "worker"
    | "storage";
  /** The run, environment, step or address that it waits for. */
  readonly on: readonly string[];
}

export function isEnded(run: Pick<Run, "status">): boolean {
  return (
    run.status === "succeeded" ||
    run.status === "failed" ||
    run.status === "cancelled" ||
    run.status === "superseded"
  );
}

export const defaultParallelism = 10;
