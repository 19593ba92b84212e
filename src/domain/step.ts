import type { Json } from "../lib/json.ts";
import type { Failure } from "./errors.ts";
import type { Change } from "./resource.ts";
import type { RetryPolicy } from "./template.ts";

/** One node of a run. */
export interface Step {
  readonly id: string;
  readonly runId: string;
  readonly environmentId: string;
  /** Unique within the run: `<phase>:<template>/<group>`, `secret:<template>/<name>` or `check:<key>`. */
  readonly key: string;
  readonly phase: StepPhase;
  readonly template: string;
  /** The group's own name; null for checks, actions and secrets. */
  readonly group: string | null;
  readonly executor: string | null;
  readonly status: StepStatus;
  readonly reason: string | null;
  readonly failure: Failure | null;
  /** Steps that must end before this one may start. */
  readonly waitingOn: number;
  /** The fencing token: raised by every claim, named by every write of its worker. */
  readonly token: number;
  readonly worker: string | null;
  /** Attempts that count against the retry policy. */
  readonly attempts: number;
  readonly retry: RetryPolicy;
  readonly timeoutMs: number;
  readonly onFailure: "stop" | "abort";
  /** Labels that its worker must offer, all of them. Sorted. */
  readonly runsOn: readonly string[];
  /** Not to be claimed before this time: backoff of a retry, next look of a check. */
  readonly availableAt: string | null;
  readonly mark: PlanMark;
  readonly changes: readonly Change[];
  /** Phase's own plain data: the check to make, the action's command, the sealed plan's blob. */
  readonly input: Json;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
}

/** `barrier` does nothing: it joins many steps before many others. `secret` and `certificate` make what is declared, or take it away. */
export type StepPhase =
  | "apply"
  | "destroy"
  | "observe"
  | "plan"
  | "check"
  | "action"
  | "barrier"
  | "secret"
  | "certificate";

export type StepStatus =
  | "blocked"
  | "ready"
  | "running"
  | "waiting"
  | "succeeded"
  | "failed"
  | "skipped"
  | "cancelled"
  | "unknown";

/** How much is known of a step when the plan is made. */
export type PlanMark = "exact" | "deferred" | "unchanged" | "destroy";

export function isStepEnded(status: StepStatus): boolean {
  return (
    status === "succeeded" || status === "failed" || status === "skipped" || status === "cancelled"
  );
}

/** One try of a step: the intent is stored before it acts. */
export interface Attempt {
  readonly stepId: string;
  /** The token of its claim; unique per step. */
  readonly token: number;
  readonly worker: string;
  readonly startedAt: string;
  readonly finishedAt: string | null;
  readonly outcome:
    | "succeeded"
    | "skipped"
    | "failed"
    | "retrying"
    | "interrupted"
    | "unknown"
    | null;
  readonly failure: Failure | null;
  /** The child process it started, so that recovery can prove it dead. */
  readonly child: ChildIdentity | null;
  /** Notes the executor left while it acted, in order: addresses started and completed. */
  readonly notes: readonly Json[];
}

/** Which process, beyond doubt: a pid alone is reused. */
export interface ChildIdentity {
  readonly pid: number;
  /** Start time in clock ticks since boot, field 22 of /proc/<pid>/stat. */
  readonly startTime: string;
  readonly bootId: string;
  readonly stopsWithinMs: number;
}
