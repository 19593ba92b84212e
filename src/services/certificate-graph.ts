import { groupKey } from "../domain/record.ts";
import { isMade, type OwnedSecret } from "../domain/secret.ts";
import { secretStepKey } from "../domain/secret-plan.ts";
import type { Step } from "../domain/step.ts";
import type { Template } from "../domain/template.ts";
import type { Graph, GraphEdge, GraphNode } from "./graph.ts";

interface Known {
  readonly template: Pick<Template, "name" | "body">;
  readonly owned: readonly OwnedSecret[];
  readonly steps: readonly Step[];
  /** The environment is destroyed. */
  readonly isGone: boolean;
}

/** The certificates of a template as nodes between the groups that give their names and those that use them. */
export function certificateGraph(known: Known): Graph {
  const names = Object.keys(known.template.body.certificates ?? {});
  return {
    nodes: names.map((name) => nodeOf(known, name)),
    edges: names.flatMap((name) => edgesOf(known, name)),
  };
}

function idOf(name: string): string {
  return `certificates.${name}`;
}

function nodeOf({ template, owned, steps, isGone }: Known, name: string): GraphNode {
  const named = { template: template.name, name, kind: "certificate" } as const;
  const step = steps.find(({ key }) => key === secretStepKey(named));
  const present = owned.some(
    (one) => groupKey(one.template, one.name) === groupKey(template.name, name) && isMade(one),
  );
  return {
    id: idOf(name),
    kind: "certificate",
    name,
    template: template.name,
    group: null,
    executor: null,
    status: step?.status ?? (isGone ? "removed" : present ? "present" : "pending"),
    reason: step?.reason ?? null,
    health: null,
  };
}

function edgesOf({ template }: Known, name: string): readonly GraphEdge[] {
  const { certificates = {}, groups } = template.body;
  const from = (certificates[name]?.inputs ?? []).map((group): GraphEdge => ({
    from: group,
    to: idOf(name),
    kind: "dependsOn",
  }));
  const to = Object.entries(groups)
    .filter(([, group]) => group.secrets?.includes(name) === true)
    .map(([group]): GraphEdge => ({ from: idOf(name), to: group, kind: "dependsOn" }));
  return [...from, ...to];
}
