import type { Shape } from "./graphs.ts";

/** The limit: the same graph with the same timers at the same parallelism, with nothing stored. Resolves with the makespan in ms. */
export async function runInMemory(
  shape: Shape,
  of: { readonly parallelism: number; readonly act: () => Promise<void> },
): Promise<number> {
  const waitingOn = new Map([...shape].map(([name, upstreams]) => [name, upstreams.length]));
  const downstream = new Map<string, string[]>([...shape.keys()].map((name) => [name, []]));
  for (const [name, upstreams] of shape)
    for (const upstream of upstreams) downstream.get(upstream)?.push(name);
  const ready = [...waitingOn].filter(([, count]) => count === 0).map(([name]) => name);
  const done = Promise.withResolvers<void>();
  let running = 0;
  let left = shape.size;
  const begun = performance.now();
  const pump = (): void => {
    while (running < of.parallelism) {
      const name = ready.shift();
      if (name === undefined) return;
      running += 1;
      void of.act().then(() => finish(name));
    }
  };
  const finish = (name: string): void => {
    running -= 1;
    left -= 1;
    for (const next of downstream.get(name) ?? []) {
      const count = (waitingOn.get(next) ?? 0) - 1;
      waitingOn.set(next, count);
      if (count === 0) ready.push(next);
    }
    if (left === 0) done.resolve();
    else pump();
  };
  pump();
  await done.promise;
  return performance.now() - begun;
}
