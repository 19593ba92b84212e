import { effectiveParameters, requiredEnvironments } from "../domain/desired.ts";
import { isLiving, type Environment } from "../domain/environment.ts";
import {
  checkStatesOf,
  groupHealths,
  healthOf,
  resourceHealth,
  type CheckStates,
} from "../domain/health.ts";
import { groupKey, type GroupRecord } from "../domain/record.ts";
import type { OwnedSecret } from "../domain/secret.ts";
import type { Resource } from "../domain/resource.ts";
import type { Step } from "../domain/step.ts";
import type { Template } from "../domain/template.ts";
import type { ReadTx } from "../ports/store.ts";
import type { Reads } from "./deps.ts";
import { presentTemplateId } from "./desired-change.ts";
import { certificateGraph } from "./certificate-graph.ts";
import { findEnvironment } from "./environment-find.ts";
import type { Graph, GraphEdge, GraphNode } from "./graph.ts";
import { allSteps, withWaits } from "./step.ts";

export type { Graph, GraphEdge, GraphNode } from "./graph.ts";

/** What is wanted and what is there as one graph: groups, their resources, and what they depend on outside. Errors: `not-found`. */
export async function getEnvironmentGraph(deps: Reads, idOrName: string): Promise<Graph> {
  return deps.store.read(async (tx) => {
    const environment = await findEnvironment(tx, idOrName);
    const template = await tx.templates.get(presentTemplateId(environment));
    if (template === null) return { nodes: [], edges: [] };
    const { activeRun } = environment;
    const known: Known = {
      environment,
      template,
      records: await tx.records.list(environment.id),
      owned:
        template.body.certificates === undefined
          ? []
          : await tx.ownedSecrets.ofEnvironment(environment.id),
      resources: await tx.resources.ofEnvironment(environment.id),
      states: checkStatesOf(await tx.checks.list(environment.id)),
      steps: activeRun === null ? [] : await withWaits(tx, await allSteps(tx, activeRun)),
    };
    return graphOf(known, await requiredNodes(tx, known));
  });
}

interface Known {
  readonly environment: Environment;
  readonly template: Template;
  readonly records: readonly GroupRecord[];
  /** Only where there are certificates. */
  readonly owned: readonly OwnedSecret[];
  readonly resources: readonly Resource[];
  readonly states: CheckStates;
  readonly steps: readonly Step[];
}

function graphOf(known: Known, required: readonly GraphNode[]): Graph {
  const groups = groupNodes(known);
  const inside = resourceNodes(known, new Map(groups.map((node) => [node.id, node])));
  const certified = certificateGraph({
    ...known,
    isGone: known.environment.status === "destroyed",
  });
  const nodes = [...required, ...groups, ...certified.nodes, ...inside.map(({ node }) => node)];
  const ids = new Set(nodes.map(({ id }) => id));
  const edges = [
    ...groupEdges(known),
    ...certified.edges,
    ...inside.flatMap((resource) => resource.edges),
  ];
  return { nodes, edges: edges.filter(({ from, to }) => ids.has(from) && ids.has(to)) };
}

/** Those of the template, then those that were made by an earlier version and are still there. */
function groupNodes({
  environment,
  template,
  records,
  states,
  steps,
}: Known): readonly GraphNode[] {
  const byKey = new Map(records.map((record) => [groupKey(record.template, record.group), record]));
  const stepByKey = new Map(steps.map((step) => [groupKey(step.template, step.group ?? ""), step]));
  const gone = environment.status === "destroyed";
  const healths = groupHealths(template.body, states);
  const nodeOf = (at: { name: string; executor: string; template: string }): GraphNode => {
    const key = groupKey(at.template, at.name);
    const step = stepByKey.get(key);
    const status = gone ? "removed" : recordStatus(byKey.get(key));
    return {
      id: at.name,
      kind: "group",
      name: at.name,
      template: at.template,
      group: at.name,
      executor: at.executor,
      status: step?.status ?? status,
      reason: step?.reason ?? null,
      health: healths.get(at.name) ?? null,
    };
  };
  const wanted = Object.entries(template.body.groups).map(([name, { executor }]) =>
    nodeOf({ name, executor, template: template.name }),
  );
  const left = records
    .filter((record) => !Object.hasOwn(template.body.groups, record.group))
    .map(({ group, executor, template: of }) => nodeOf({ name: group, executor, template: of }));
  return [...wanted, ...left];
}

function recordStatus(record: GroupRecord | undefined): string {
  if (record === undefined) return "pending";
  if (record.status === "partial") return "failed";
  return record.drift === "drifted" || record.drift === "missing" ? record.drift : "present";
}

function groupEdges({ template, records }: Known): readonly GraphEdge[] {
  const wanted = Object.entries(template.body.groups).flatMap(([to, { upstreams }]) =>
    upstreams.map((from): GraphEdge => ({ from, to, kind: "dependsOn" })),
  );
  const left = records
    .filter((record) => !Object.hasOwn(template.body.groups, record.group))
    .flatMap(({ group, upstreams }) =>
      upstreams.map((from): GraphEdge => ({
        from: from.slice(from.indexOf("/") + 1),
        to: group,
        kind: "dependsOn",
      })),
    );
  return [...wanted, ...left];
}

function resourceNodes(
  { template, resources, states }: Known,
  groups: ReadonlyMap<string, GraphNode>,
): readonly { readonly node: GraphNode; readonly edges: readonly GraphEdge[] }[] {
  const present = new Map(
    resources.map((resource) => [`${resource.group}.${resource.key}`, resource]),
  );
  return Object.entries(template.body.groups).flatMap(
    ([group, { resources: declared, executor }]) =>
      Object.entries(declared).map(([key, resource]) => {
        const id = `${group}.${key}`;
        const found = present.get(id);
        const node: GraphNode = {
          id,
          kind: "resource",
          name: found?.name ?? resource.name,
          template: template.name,
          group,
          executor,
          status:
            found?.status ?? (groups.get(group)?.status === "removed" ? "removed" : "pending"),
          reason: null,
          health: found === undefined ? null : resourceHealth(found, states),
        };
        const waits = resource.dependsOn.map((from): GraphEdge => ({
          from,
          to: id,
          kind: "dependsOn",
        }));
        return { node, edges: [{ from: group, to: id, kind: "contains" as const }, ...waits] };
      }),
  );
}

async function requiredNodes(tx: ReadTx, known: Known): Promise<readonly GraphNode[]> {
  const { environment, template, states } = known;
  const names = requiredNames(known);
  const nodes: GraphNode[] = [];
  for (const [key, requirement] of Object.entries(template.body.requires)) {
    const name = names.get(key);
    const other = name === undefined ? null : await tx.environments.find(name);
    const there = other !== null && isLiving(other) && other.id !== environment.id;
    nodes.push({
      id: `requires.${key}`,
      kind: requirement.kind,
      name: name ?? key,
      template: null,
      group: null,
      executor: null,
      status: requirement.kind === "external" ? null : there ? other.status : "missing",
      reason: requirement.description === "" ? null : requirement.description,
      health: states.has(`requires.${key}`) ? healthOf([`requires.${key}`], states) : null,
    });
  }
  return nodes;
}

/** Names that cannot be told are shown by their key; the run says why. */
function requiredNames({ environment, template }: Known): ReadonlyMap<string, string> {
  const given = environment.desired.templates[0]?.parameters ?? {};
  const parameters = effectiveParameters(template.body.parameters, given);
  try {
    const required = requiredEnvironments(template.body, parameters, environment);
    return new Map([...required].map(([key, { name }]) => [key, name]));
  } catch {
    return new Map();
  }
}
