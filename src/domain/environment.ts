import type { Failure } from "./errors.ts";
import type { Tags } from "./template.ts";
import type { Values } from "./value.ts";

/** What a template was turned into. */
export interface Environment {
  readonly id: string;
  /** Unique among the living. */
  readonly name: string;
  readonly description: string;
  readonly tags: Tags;
  readonly status: EnvironmentStatus;
  /** Why it has this status, for people. Null when there is nothing to add. */
  readonly reason: string | null;
  readonly failure: Failure | null;
  /** What is wanted. The next run takes the newest. */
  readonly desired: Desired;
  /** Raised with every change of `desired`. */
  readonly generation: number;
  /** The generation that the last successful apply made real; 0 before the first. */
  readonly appliedGeneration: number;
  /** The only run whose steps may write; the fence of every worker write. */
  readonly activeRun: string | null;
  /** Number of the environment's newest event; gap-free from 1. */
  readonly sequence: number;
  /** Evaluated outputs and entrypoints of the last apply. */
  readonly outputs: Values;
  readonly entrypoints: Readonly<
    Record<string, { readonly url: string; readonly description: string }>
  >;
  /** Names of the environments that it requires, by id: resolved when its run started. */
  readonly requires: readonly string[];
  /** True when an environment that it requires has changed its outputs since. */
  readonly outdated: boolean;
  readonly drifted: boolean;
  /** Only planned so far: it is in no list and holds no name until a plan of it is applied. */
  readonly prospective: boolean;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly plannedDestructionAt: string | null;
  readonly destroyedAt: string | null;
}

/** Which templates with which parameters. One template in this version; the list is the data model of several. */
export interface Desired {
  readonly templates: readonly DesiredTemplate[];
}

export interface DesiredTemplate {
  readonly templateId: string;
  readonly name: string;
  readonly version: string;
  /** Checked, defaults not filled in: only what was given. Secret ones are references. */
  readonly parameters: Values;
  /** By declared secret, how often a new version was asked for; absent before the first time. */
  readonly rotations?: Readonly<Record<string, number>>;
}

export type EnvironmentStatus =
  | "deploying"
  | "deployed-validating"
  | "deployed-ok"
  | "deployed-failed"
  | "destroying"
  | "destroyed";

/** Legal moves. A status may always be "moved" to itself with another reason. */
export const environmentMoves: Readonly<Record<EnvironmentStatus, readonly EnvironmentStatus[]>> = {
  deploying: ["deployed-validating", "deployed-ok", "deployed-failed", "destroying"],
  "deployed-validating": ["deployed-ok", "deployed-failed", "deploying", "destroying"],
  "deployed-ok": ["deployed-failed", "deployed-validating", "deploying", "destroying"],
  "deployed-failed": ["deployed-ok", "deployed-validating", "deploying", "destroying"],
  destroying: ["destroyed", "deployed-failed"],
  destroyed: [],
};

export function mayMove(from: EnvironmentStatus, to: EnvironmentStatus): boolean {
  return from === to || environmentMoves[from].includes(to);
}

export function isLiving(environment: Pick<Environment, "status">): boolean {
  return environment.status !== "destroyed";
}
