import type { Desired } from "./environment.ts";
import type { RunKind } from "./run.ts";
import type { PlanMark, StepPhase } from "./step.ts";
import type { Change } from "./resource.ts";
import type { Json } from "../lib/json.ts";
import type { RetryPolicy } from "./template.ts";

/** A step as the planner wants it, before it has an id. */
export interface PlannedStep {
  readonly key: string;
  readonly phase: StepPhase;
  readonly template: string;
  readonly group: string | null;
  readonly executor: string | null;
  readonly mark: PlanMark;
  /** Why this step is there, for people: "settings changed", "new group", "executor changed". */
  readonly reason: string;
  /** Keys of steps that must end first. */
  readonly dependsOn: readonly string[];
  readonly retry: RetryPolicy;
  readonly timeoutMs: number;
  readonly onFailure: "stop" | "abort";
  /** Labels that its worker must offer; absent when any may do it. Sorted. */
  readonly runsOn?: readonly string[];
  readonly changes: readonly Change[];
  readonly input: Json;
}

/** The graph of steps that a command leads to. */
export interface Plan {
  readonly formatVersion: 1;
  readonly steps: readonly PlannedStep[];
  /** SHA-256 of the canonical steps, in hex. */
  readonly digest: string;
}

/** A plan that was asked for, kept, and can be applied exactly. */
export interface SavedPlan {
  readonly id: string;
  readonly environmentId: string;
  readonly runId: string;
  readonly kind: RunKind;
  readonly status: "making" | "ready" | "stale" | "applied" | "failed";
  readonly desired: Desired;
  /** What it was made for; any difference at apply is `plan-stale`. */
  readonly basis: PlanBasis;
  readonly plan: Plan | null;
  readonly createdAt: string;
  readonly expiresAt: string;
}

export interface PlanBasis {
  readonly generation: number;
  readonly templateDigests: readonly string[];
  readonly parametersHmac: string;
  /** `<template>/<group>` to its record's fingerprint and state serial. */
  readonly groups: Readonly<Record<string, string>>;
}
