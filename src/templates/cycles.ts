import { describeCycle, shortestCycle } from "../domain/graph.ts";
import type { Context } from "./context.ts";
import type { CompiledGroup } from "./groups.ts";

/** Refuses circles among groups and, when there are none, among the resources of one group. Names a shortest one. */
export function checkCycles(
  context: Context,
  groups: Readonly<Record<string, CompiledGroup>>,
): void {
  const graph = new Map(Object.entries(groups).map(([name, one]) => [name, one.group.upstreams]));
  const cycle = shortestCycle(graph);
  if (cycle === null) {
    checkResourceCycles(context, groups);
    return;
  }
  const [first = "", second = first] = cycle;
  const spot = groups[first]?.edges.get(second) ?? { path: ["groups", first], key: true };
  context.problems.add(
    spot,
    `the groups wait for one another in a circle: ${describeCycle(cycle)}; remove one of these dependencies`,
  );
}

function checkResourceCycles(
  context: Context,
  groups: Readonly<Record<string, CompiledGroup>>,
): void {
  const graph = new Map<string, readonly string[]>();
  for (const [name, { group }] of Object.entries(groups)) {
    for (const [key, resource] of Object.entries(group.resources)) {
      graph.set(`${name}.${key}`, resource.dependsOn);
    }
  }
  const cycle = shortestCycle(graph);
  if (cycle === null) return;
  const [owner = "", key = ""] = cycle[0]?.split(".") ?? [];
  context.problems.add(
    { path: ["groups", owner, "resources", key, "dependsOn"] },
    `the resources wait for one another in a circle: ${describeCycle(cycle)}; remove one of these dependencies`,
  );
}
