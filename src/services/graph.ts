import type { Health } from "../domain/health.ts";

/** An environment as a graph. */
export interface GraphNode {
  /** A group's name, `group.resource`, `requires.name` or `certificates.name`; unique within the graph. */
  readonly id: string;
  readonly kind: "group" | "resource" | "environment" | "external" | "certificate";
  readonly name: string;
  readonly template: string | null;
  readonly group: string | null;
  readonly executor: string | null;
  /** Of the step while a run is under way; else what is known: `pending`, `present`, `failed`, `drifted`, `missing`. */
  readonly status: string | null;
  readonly reason: string | null;
  /** Of resources, and of groups those of theirs; of external resources with a check. Null without checks. */
  readonly health: Health | null;
}

export interface GraphEdge {
  /** What is waited for. */
  readonly from: string;
  /** What waits, or what is inside. */
  readonly to: string;
  readonly kind: "dependsOn" | "contains";
}

export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
}
