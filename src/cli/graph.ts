import type { GraphView } from "../contract/rest.ts";
import type { Call } from "./call.ts";
import { statusStyle } from "./environment-print.ts";
import { plainReason } from "./run-model.ts";
import { alignedLines } from "./table.ts";
import { painter } from "./text.ts";

type Node = GraphView["nodes"][number];

/** Draws groups in layers: a layer can be worked on when those above it are done. */
export function printGraph(call: Pick<Call, "terminal">, graph: GraphView): void {
  for (const line of graphLines(call, graph)) call.terminal.out(`${line}\n`);
}

export function graphLines(call: Pick<Call, "terminal">, graph: GraphView): readonly string[] {
  const paint = painter(call.terminal, "out");
  const nodes = new Map(graph.nodes.map((node) => [node.id, node]));
  const inside = new Set(
    graph.edges.filter((edge) => edge.kind === "contains").map((edge) => edge.to),
  );
  const shown = graph.nodes.filter((node) => !inside.has(node.id));
  const upstreams = upstreamsOf(graph, new Set(shown.map((node) => node.id)));
  const layers = layersOf(shown, upstreams);
  const lines = alignedLines(
    call,
    layers.flat().map((node) => {
      const from = (upstreams.get(node.id) ?? []).map((id) => nodes.get(id)?.name ?? id);
      return [
        { text: `  ${node.name}` },
        { text: kindOf(node), style: "dim" },
        { text: node.status ?? "", style: statusStyle(node.status ?? "") },
        { text: from.length === 0 ? "" : `← ${from.join(", ")}`, style: "dim" },
        { text: plainReason(node.reason ?? "") },
      ];
    }),
  );
  const starts = layers.map((_, at) => layers.slice(0, at).flat().length);
  return layers.flatMap((layer, at) => [
    paint("bold", `layer ${at + 1}`),
    ...lines.slice(starts[at], (starts[at] ?? 0) + layer.length),
  ]);
}

function kindOf({ kind, executor }: Node): string {
  return kind === "group" ? (executor ?? "") : kind;
}

function upstreamsOf(
  graph: GraphView,
  shown: ReadonlySet<string>,
): ReadonlyMap<string, readonly string[]> {
  const upstreams = new Map<string, string[]>();
  for (const { from, to, kind } of graph.edges) {
    if (kind === "contains" || !shown.has(from) || !shown.has(to)) continue;
    const list = upstreams.get(to) ?? [];
    list.push(from);
    upstreams.set(to, list);
  }
  return upstreams;
}

/** A node's layer is one below the lowest of those it waits for. */
function layersOf(
  nodes: readonly Node[],
  upstreams: ReadonlyMap<string, readonly string[]>,
): readonly (readonly Node[])[] {
  const depths = new Map<string, number>();
  const rest = new Map(nodes.map((node) => [node.id, node]));
  for (let depth = 0; rest.size > 0; depth += 1) {
    const ready = [...rest.values()].filter((node) =>
      (upstreams.get(node.id) ?? []).every((id) => !rest.has(id)),
    );
    // A graph of the server has no cycle; should one come, all that is left is one layer.
    const layer = ready.length === 0 ? [...rest.values()] : ready;
    for (const node of layer) {
      depths.set(node.id, depth);
      rest.delete(node.id);
    }
  }
  const last = Math.max(-1, ...depths.values());
  return Array.from({ length: last + 1 }, (_, depth) =>
    nodes.filter((node) => depths.get(node.id) === depth),
  );
}
