import { sampleGroup, sampleTemplate } from "../src/testing/samples.ts";
import type { Group, TemplateBody } from "../src/domain/template.ts";

/** The shapes of graphs that are measured: each group's upstreams. */
export type Shape = ReadonlyMap<string, readonly string[]>;

export function chain(length: number): Shape {
  return new Map(range(length).map((index) => [`g${index}`, index === 0 ? [] : [`g${index - 1}`]]));
}

/** One, then `width` side by side, then one. */
export function fan(width: number): Shape {
  const middle = range(width).map((index) => `m${index}`);
  return new Map<string, readonly string[]>([
    ["first", []],
    ...middle.map((name) => [name, ["first"]] as const),
    ["last", middle],
  ]);
}

/** Layers in which each group waits for three of the layer before. */
export function layered(layers: number, width: number): Shape {
  return new Map(
    range(layers * width).map((index) => {
      const [layer, at] = [Math.floor(index / width), index % width];
      const parents =
        layer === 0
          ? []
          : [0, 1, 2].map((shift) => `g${(layer - 1) * width + ((at + shift) % width)}`);
      return [`g${index}`, [...new Set(parents)]];
    }),
  );
}

export function templateOf(shape: Shape, more: Partial<Group> = {}): TemplateBody {
  const groups = [...shape].map(
    ([name, dependsOn]) => [name, sampleGroup({ dependsOn, executor: "timer", ...more })] as const,
  );
  return sampleTemplate(Object.fromEntries(groups), { name: "bench" });
}

function range(length: number): readonly number[] {
  return Array.from({ length }, (_, index) => index);
}
