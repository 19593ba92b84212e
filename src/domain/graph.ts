import { GlasshouseError } from "./errors.ts";

/**
 * A dependency graph: each node with the nodes it waits for (its upstreams). Names that are no nodes themselves are
 * ignored; naming an upstream twice is as naming it once. Nothing here recurses, so depth has no bound.
 */
export type Graph = ReadonlyMap<string, readonly string[]>;

/**
 * Every node after all its upstreams; among those that are free, in the graph's own order. Linear. Errors:
 * `invalid-template` when there is a cycle, naming a shortest one.
 */
export function topologicalOrder(graph: Graph): readonly string[] {
  const order = layers(graph).flat();
  if (order.length === graph.size) return order;
  const cycle = shortestCycle(graph) ?? [];
  throw new GlasshouseError(
    "invalid-template",
    `The groups wait for one another in a circle: ${describeCycle(cycle)}. Remove one of these dependencies.`,
  );
}

/** `a → b → a`, where each waits for the next. */
export function describeCycle(cycle: readonly string[]): string {
  return [...cycle, ...cycle.slice(0, 1)].join(" → ");
}

/**
 * Nodes by their distance from the sources: the first layer waits for nothing, each next one for something in the layer
 * before it. Nodes on a cycle, and those that wait for one, are left out. Linear.
 */
export function layers(graph: Graph): readonly (readonly string[])[] {
  const downstream = dependents(graph);
  const missing = new Map<string, number>();
  for (const nodes of downstream.values()) {
    for (const node of nodes) missing.set(node, (missing.get(node) ?? 0) + 1);
  }
  const found: string[][] = [];
  let layer = [...graph.keys()].filter((node) => !missing.has(node));
  while (layer.length > 0) {
    found.push(layer);
    const next: string[] = [];
    for (const node of layer) {
      for (const dependent of downstream.get(node) ?? []) {
        const left = (missing.get(dependent) ?? 0) - 1;
        missing.set(dependent, left);
        if (left === 0) next.push(dependent);
      }
    }
    layer = next;
  }
  return found;
}

/** The graph turned round: each node with those that wait for it, in the graph's own order, each once. Linear. */
export function dependents(graph: Graph): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>([...graph.keys()].map((node) => [node, []]));
  for (const [node, upstreams] of graph) {
    for (const upstream of new Set(upstreams)) found.get(upstream)?.push(node);
  }
  return found;
}

/**
 * Everything reachable from some nodes, with its distance in edges; the starting nodes are in it with 0. `up` follows
 * what they wait for, `down` what waits for them, at most `depth` edges far (all when absent). Linear.
 */
export function closure(
  graph: Graph,
  from: Iterable<string>,
  reach: { readonly direction: "up" | "down"; readonly depth?: number },
): ReadonlyMap<string, number> {
  const edges = reach.direction === "up" ? graph : dependents(graph);
  const depth = reach.depth ?? Number.POSITIVE_INFINITY;
  const distances = new Map<string, number>();
  for (const node of from) if (graph.has(node)) distances.set(node, 0);
  // A map may grow while it is walked: new nodes are reached in order of their distance.
  for (const [node, distance] of distances) {
    if (distance >= depth) break;
    for (const next of edges.get(node) ?? []) {
      if (graph.has(next) && !distances.has(next)) distances.set(next, distance + 1);
    }
  }
  return distances;
}

/** The search for a shortest cycle gives up looking for a still shorter one after so many edges. */
const maximumEdgesSearched = 20_000_000;

/**
 * A shortest cycle, each node once, each waiting for the next and the last for the first; null when there is none.
 * What lies on no cycle is peeled off first and a searched node is taken out, so rings and chains cost linear time; a dense
 * tangle costs nodes × edges, up to the bound above, past which the shortest cycle found so far is given.
 */
export function shortestCycle(graph: Graph): readonly string[] | null {
  const knot = new Knot(graph);
  let best: readonly string[] | null = null;
  for (const node of graph.keys()) {
    if (!knot.has(node)) continue;
    const cycle = knot.cycleThrough(node, best?.length ?? Number.POSITIVE_INFINITY);
    if (cycle !== null) best = cycle;
    if (best !== null && (best.length === 1 || knot.searched > maximumEdgesSearched)) break;
    knot.remove(node);
  }
  return best;
}

/** The part of a graph that may lie on cycles: nodes without a neighbour on either side fall off by themselves. */
class Knot {
  readonly #upstreams = new Map<string, Set<string>>();
  readonly #downstreams = new Map<string, Set<string>>();
  searched = 0;

  constructor(graph: Graph) {
    for (const [node, upstreams] of graph) {
      this.#upstreams.set(node, new Set(upstreams.filter((upstream) => graph.has(upstream))));
    }
    for (const [node, nodes] of dependents(graph)) this.#downstreams.set(node, new Set(nodes));
    this.#peel([...graph.keys()]);
  }

  has(node: string): boolean {
    return this.#upstreams.has(node);
  }

  /** A shortest cycle through this node that is shorter than `bound`, or null. */
  cycleThrough(start: string, bound: number): readonly string[] | null {
    const cameFrom = new Map<string, string>();
    let frontier = [start];
    for (let length = 1; length < bound && frontier.length > 0; length += 1) {
      const next: string[] = [];
      for (const node of frontier) {
        for (const upstream of this.#upstreams.get(node) ?? []) {
          this.searched += 1;
          if (upstream === start) return pathTo(node, start, cameFrom);
          if (cameFrom.has(upstream)) continue;
          cameFrom.set(upstream, node);
          next.push(upstream);
        }
      }
      frontier = next;
    }
    return null;
  }

  /** Takes a node out, and everything that lies on no cycle without it. */
  remove(node: string): void {
    const neighbours = [
      ...(this.#upstreams.get(node) ?? []),
      ...(this.#downstreams.get(node) ?? []),
    ];
    this.#unlink(node);
    this.#peel(neighbours);
  }

  #peel(candidates: string[]): void {
    for (let node = candidates.pop(); node !== undefined; node = candidates.pop()) {
      const upstreams = this.#upstreams.get(node);
      const downstreams = this.#downstreams.get(node);
      if (upstreams === undefined || downstreams === undefined) continue;
      if (upstreams.size > 0 && downstreams.size > 0) continue;
      for (const neighbour of upstreams) candidates.push(neighbour);
      for (const neighbour of downstreams) candidates.push(neighbour);
      this.#unlink(node);
    }
  }

  #unlink(node: string): void {
    for (const upstream of this.#upstreams.get(node) ?? [])
      this.#downstreams.get(upstream)?.delete(node);
    for (const downstream of this.#downstreams.get(node) ?? [])
      this.#upstreams.get(downstream)?.delete(node);
    this.#upstreams.delete(node);
    this.#downstreams.delete(node);
  }
}

function pathTo(
  last: string,
  start: string,
  cameFrom: ReadonlyMap<string, string>,
): readonly string[] {
  const path = [last];
  for (let node = last; node !== start;) {
    node = cameFrom.get(node) ?? start;
    path.push(node);
  }
  return path.toReversed();
}
