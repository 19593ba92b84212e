import type { Json } from "../lib/json.ts";

export const eventTypes = [
  "command.accepted",
  "command.refused",
  "command.completed",
  "command.failed",
  "template.registered",
  "template.activated",
  "template.deprecated",
  "environment.deploying",
  "environment.validating",
  "environment.ok",
  "environment.failed",
  "environment.updated",
  "environment.destroying",
  "environment.destroyed",
  "environment.drifted",
  "environment.undrifted",
  "environment.outdated",
  "run.queued",
  "run.started",
  "run.progressed",
  "run.waiting",
  "run.succeeded",
  "run.failed",
  "run.cancelled",
  "step.started",
  "step.progressed",
  "step.succeeded",
  "step.failed",
  "step.skipped",
  "step.retrying",
  "step.unknown",
  "resource.created",
  "resource.changed",
  "resource.removed",
  "resource.healthy",
  "resource.unhealthy",
  "plan.ready",
  "plan.stale",
] as const;

export type EventType = (typeof eventTypes)[number];

/** A fact, past tense, in the journal. Never changed, never removed before its retention ends. */
export interface JournalEvent {
  readonly id: string;
  /** Place in the whole journal, given after commit. Cursors read by this, never by row id. */
  readonly position: number;
  readonly type: EventType;
  readonly environmentId: string | null;
  /** Gap-free within the environment; 0 for events of no environment. */
  readonly sequence: number;
  /** `environments/<name>`, `templates/<name>@<version>`. */
  readonly subject: string;
  readonly data: Json;
  readonly commandId: string | null;
  readonly runId: string | null;
  readonly stepId: string | null;
  readonly time: string;
}

/** An event as its writer knows it: its position comes with the commit or soon after. */
export type AppendedEvent = Omit<JournalEvent, "position">;

/** What a writer hands in: the store gives id, position and sequence. */
export interface NewEvent {
  readonly type: EventType;
  readonly environmentId: string | null;
  readonly subject: string;
  readonly data: Json;
  readonly commandId?: string | null;
  readonly runId?: string | null;
  readonly stepId?: string | null;
}
