import type { Environment, EnvironmentStatus } from "./environment.ts";
import type { EventType } from "./event.ts";
import type { RunKind } from "./run.ts";

/** What becomes of an environment when a run begins or ends. Null: nothing. */
export interface StatusChange {
  readonly status: EnvironmentStatus;
  readonly reason: string | null;
  readonly event: EventType;
}

/** When a run leaves the queue. */
export function statusWhenStarted(kind: RunKind): StatusChange | null {
  switch (kind) {
    case "create":
    case "update":
      return { status: "deploying", reason: null, event: "environment.deploying" };
    case "validate":
      return {
        status: "deployed-validating",
        reason: "it is validated again",
        event: "environment.validating",
      };
    case "destroy":
      return { status: "destroying", reason: null, event: "environment.destroying" };
    case "action":
    case "plan":
    case "refresh":
      return null;
  }
}

/** When a run has ended; `detail` says why it failed. The table of "Status" in the engine's promises. */
export function statusWhenEnded(
  kind: RunKind,
  ended: { readonly status: "succeeded" | "failed" | "cancelled"; readonly detail: string },
  before: Pick<Environment, "status" | "reason">,
): StatusChange | null {
  if (kind === "create" || kind === "update") return afterApply(kind, ended);
  if (kind === "destroy") return afterDestroy(ended);
  if (kind !== "validate") return null;
  if (ended.status === "succeeded")
    return { status: "deployed-ok", reason: null, event: "environment.ok" };
  if (before.status !== "deployed-validating") return null;
  const reason =
    ended.status === "failed"
      ? ended.detail
      : "the validation was cancelled; its checks are not known to pass";
  return { status: "deployed-failed", reason, event: "environment.failed" };
}

type Ended = Parameters<typeof statusWhenEnded>[1];

function afterApply(kind: "create" | "update", ended: Ended): StatusChange {
  if (ended.status === "succeeded")
    return { status: "deployed-ok", reason: null, event: "environment.ok" };
  const reason = ended.status === "cancelled" ? `the ${kind} was cancelled` : ended.detail;
  return { status: "deployed-failed", reason, event: "environment.failed" };
}

function afterDestroy(ended: Ended): StatusChange {
  switch (ended.status) {
    case "succeeded":
      return { status: "destroyed", reason: null, event: "environment.destroyed" };
    case "failed":
      return { status: "destroying", reason: ended.detail, event: "environment.destroying" };
    case "cancelled":
      return {
        status: "deployed-failed",
        reason: "partly destroyed: the destroy was cancelled",
        event: "environment.failed",
      };
  }
}
