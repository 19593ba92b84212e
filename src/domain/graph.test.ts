import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { GlasshouseError } from "./errors.ts";
import {
  closure,
  dependents,
  describeCycle,
  layers,
  shortestCycle,
  topologicalOrder,
} from "./graph.ts";
import type { Graph } from "./graph.ts";

const nodeCount = 12;
const edge = fc.tuple(fc.nat(nodeCount - 1), fc.nat(nodeCount - 1));
/** Any graph of a few nodes, cycles and self-loops included. */
const anyGraph = fc.array(edge, { maxLength: 24 }).map((edges) => graphOf(nodeCount, edges));
/** Edges point from larger to smaller numbers only, so there is no cycle; the nodes are named in random order. */
const acyclic = fc
  .tuple(
    fc.array(edge, { maxLength: 30 }),
    fc.shuffledSubarray(range(nodeCount), { minLength: nodeCount }),
  )
  .map(([edges, names]) =>
    graphOf(
      nodeCount,
      edges
        .filter(([from, to]) => from !== to)
        .map(
          ([from, to]) => [names[Math.max(from, to)] ?? 0, names[Math.min(from, to)] ?? 0] as const,
        ),
    ),
  );

describe("topological order", () => {
  test("every node comes once and after all it waits for", () => {
    fc.assert(
      fc.property(acyclic, (graph) => {
        const place = new Map(topologicalOrder(graph).map((node, index) => [node, index]));
        assert.equal(place.size, graph.size);
        for (const [node, upstreams] of graph) {
          for (const upstream of upstreams)
            assert.ok((place.get(upstream) ?? -1) < (place.get(node) ?? -1));
        }
      }),
    );
  });

  test("it fails exactly when there is a cycle, and names it", () => {
    fc.assert(
      fc.property(anyGraph, (graph) => {
        const cycle = shortestCycle(graph);
        if (cycle === null) assert.equal(topologicalOrder(graph).length, graph.size);
        else {
          assert.throws(
            () => topologicalOrder(graph),
            (error) =>
              error instanceof GlasshouseError && error.message.includes(describeCycle(cycle)),
          );
        }
      }),
    );
  });

  test("layers: each node waits for something in the layer before, and for nothing in its own or later", () => {
    fc.assert(
      fc.property(acyclic, (graph) => {
        const found = layers(graph);
        const layerOf = new Map(
          found.flatMap((nodes, index) => nodes.map((node) => [node, index] as const)),
        );
        for (const [node, upstreams] of graph) {
          const latest = Math.max(-1, ...upstreams.map((upstream) => layerOf.get(upstream) ?? 99));
          assert.equal(layerOf.get(node), latest + 1);
        }
      }),
    );
  });

  test("names that are no nodes are ignored", () => {
    assert.deepEqual(
      topologicalOrder(
        new Map([
          ["a", ["gone"]],
          ["b", ["a", "a"]],
        ]),
      ),
      ["a", "b"],
    );
  });
});

describe("cycles", () => {
  test("the cycle is one, and no shorter one exists", () => {
    fc.assert(
      fc.property(anyGraph, (graph) => {
        const cycle = shortestCycle(graph);
        const lengths = [...graph.keys()].map((node) => shortestThrough(graph, node));
        const expected = Math.min(...lengths);
        assert.equal(cycle?.length ?? Number.POSITIVE_INFINITY, expected);
        if (cycle === null) return;
        assert.equal(new Set(cycle).size, cycle.length);
        for (const [index, node] of cycle.entries()) {
          assert.ok(graph.get(node)?.includes(cycle[(index + 1) % cycle.length] ?? ""));
        }
      }),
      { numRuns: 500 },
    );
  });

  test("it reads as a chain that returns to its begin", () => {
    const cycle = shortestCycle(
      new Map([
        ["a", ["b"]],
        ["b", ["c"]],
        ["c", ["a"]],
        ["d", ["a"]],
      ]),
    );
    assert.equal(describeCycle(cycle ?? []), "a → b → c → a");
    assert.deepEqual(shortestCycle(new Map([["a", ["a"]]])), ["a"]);
  });
});

describe("closure", () => {
  test("down is up of the graph turned round", () => {
    fc.assert(
      fc.property(anyGraph, fc.nat(nodeCount - 1), fc.nat(5), (graph, start, depth) => {
        const from = [`n${start}`];
        assert.deepEqual(
          closure(graph, from, { direction: "down", depth }),
          closure(dependents(graph), from, { direction: "up", depth }),
        );
      }),
    );
  });

  test("a bound on depth keeps what is nearer and drops the rest", () => {
    fc.assert(
      fc.property(anyGraph, fc.nat(nodeCount - 1), fc.nat(5), (graph, start, depth) => {
        const all = closure(graph, [`n${start}`], { direction: "up" });
        const near = closure(graph, [`n${start}`], { direction: "up", depth });
        assert.deepEqual(near, new Map([...all].filter(([, distance]) => distance <= depth)));
      }),
    );
  });

  test("turning round twice gives the same edges", () => {
    fc.assert(
      fc.property(anyGraph, (graph) => {
        const twice = dependents(dependents(graph));
        for (const [node, upstreams] of graph) {
          assert.deepEqual(new Set(twice.get(node)), new Set(upstreams));
        }
      }),
    );
  });

  test("unknown starting points reach nothing", () => {
    assert.equal(closure(new Map([["a", []]]), ["b"], { direction: "up" }).size, 0);
  });
});

describe("large graphs", () => {
  const size = 10_000;
  const chain: Graph = new Map(range(size).map((n) => [`n${n}`, n === 0 ? [] : [`n${n - 1}`]]));
  const ring: Graph = new Map(range(size).map((n) => [`n${n}`, [`n${(n + size - 1) % size}`]]));
  const fan: Graph = new Map<string, readonly string[]>([
    ["hub", []],
    ...range(size).map((n): [string, string[]] => [`n${n}`, ["hub"]]),
  ]);

  test("a chain of 10,000, a ring of 10,000 and a fan of 10,000 are no trouble", () => {
    assert.equal(topologicalOrder(chain).at(-1), `n${size - 1}`);
    assert.equal(layers(chain).length, size);
    assert.equal(closure(chain, ["n0"], { direction: "down" }).get("n9999"), size - 1);
    assert.equal(shortestCycle(chain), null);
    assert.equal(shortestCycle(ring)?.length, size);
    assert.equal(layers(fan).length, 2);
    assert.equal(shortestCycle(fan), null);
  });

  test("a short cycle inside a long one is the one that is named", () => {
    const graph = new Map(ring);
    graph.set("n5000", ["n4999", "n5001"]);
    assert.deepEqual(new Set(shortestCycle(graph)), new Set(["n5000", "n5001"]));
  });
});

function graphOf(count: number, edges: readonly (readonly [number, number])[]): Graph {
  const graph = new Map<string, string[]>(range(count).map((n) => [`n${n}`, []]));
  for (const [from, to] of edges) graph.get(`n${from}`)?.push(`n${to}`);
  return graph;
}

/** Length of the shortest cycle through a node, found the plain way. */
function shortestThrough(graph: Graph, start: string): number {
  const upstreams = graph.get(start) ?? [];
  if (upstreams.includes(start)) return 1;
  const back = closure(graph, upstreams, { direction: "up" }).get(start);
  return back === undefined ? Number.POSITIVE_INFINITY : back + 1;
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}
