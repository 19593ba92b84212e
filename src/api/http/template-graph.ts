import type { TemplateBody } from "../../domain/template.ts";
import type { GraphView } from "../../contract/rest.ts";

type Node = GraphView["nodes"][number];
type Edge = GraphView["edges"][number];

/** The dependency graph that a template describes: groups, their resources and what is outside. */
export function templateGraph(body: TemplateBody): GraphView {
  const nodes: Node[] = [];
  const edges: Edge[] = [];
  const unknown = { status: null, reason: null, health: null };
  const blank = { template: body.name, group: null, executor: null, ...unknown };
  for (const [name, requirement] of Object.entries(body.requires)) {
    const kind = requirement.kind === "environment" ? "environment" : "external";
    nodes.push({ ...blank, id: `requires.${name}`, kind, name });
  }
  for (const [name, group] of Object.entries(body.groups)) {
    nodes.push({ ...blank, id: name, kind: "group", name, group: name, executor: group.executor });
    for (const upstream of group.upstreams)
      edges.push({ from: upstream, to: name, kind: "dependsOn" });
    for (const [key, resource] of Object.entries(group.resources)) {
      const id = `${name}.${key}`;
      nodes.push({ ...blank, id, kind: "resource", name: resource.name, group: name });
      edges.push({ from: name, to: id, kind: "contains" });
      for (const other of resource.dependsOn)
        edges.push({ from: other, to: id, kind: "dependsOn" });
    }
  }
  return { nodes, edges };
}
