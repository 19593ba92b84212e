import type { Json } from "../lib/json.ts";
import type { Value, Values } from "./value.ts";

/**
 * The frozen record of a group: what was applied and everything that taking it down needs, so that destroy works when
 * the template's repository is gone. One per environment, template name and group; it ends when the group is destroyed.
 */
export interface GroupRecord {
  readonly environmentId: string;
  readonly template: string;
  readonly group: string;
  readonly templateId: string;
  readonly executor: string;
  /** The executor's behaviour number at that time. */
  readonly behaviour: number;
  /** `partial`: an apply began and did not end well, so something may exist. */
  readonly status: "applied" | "partial";
  /** Groups that it waited for, as `<template>/<group>`. Destroy goes the other way round. */
  readonly upstreams: readonly string[];
  /** The settings as they were applied: literals filled in, secrets as references. */
  readonly settings: Value;
  /** HMAC of evaluated settings, file digest and behaviour number: equal means nothing to do. Null while `partial`. */
  readonly fingerprint: string | null;
  readonly outputs: Values;
  /** The executor's own durable notes: lock file, serial, … */
  readonly memory: Json;
  readonly drift: DriftStatus;
  readonly timeoutMs: number;
  /** Labels that the worker must offer that looks at it or takes it down: those of the one that made it had to. */
  readonly runsOn: readonly string[];
  readonly appliedAt: string;
}

/** `unknown` until it was looked at. */
export type DriftStatus = "unknown" | "none" | "drifted" | "missing";

/** The key of a group within an environment; plain group names within one template, this form between them. */
export function groupKey(template: string, group: string): string {
  return `${template}/${group}`;
}
