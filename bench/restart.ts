import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fakeExecutor } from "../src/testing/fake-executor.ts";
import { createWorld } from "../test/support/world.ts";
import { chain, templateOf } from "./graphs.ts";
import type { Row } from "./measure.ts";

const runs = 1_000;

/** B12: how soon a process that starts again works on everything that its predecessor left in flight. */
export async function restart(): Promise<readonly Row[]> {
  const directory = await mkdtemp(join(tmpdir(), "glasshouse-bench-"));
  try {
    await leaveInFlight(directory);
    let begun = 0;
    const all = Promise.withResolvers<void>();
    const count = (): void => {
      begun += 1;
      if (begun === runs) all.resolve();
    };
    const executor = fakeExecutor({
      name: "timer",
      act: () => new Promise(() => undefined),
      settle: () => {
        count();
        return { kind: "again" };
      },
    });
    const world = await createWorld({
      directory,
      executors: [executor],
      settings: { places: runs, stopGraceMs: 0 },
      start: false,
    });
    await world.engine.start();
    const ready = performance.now();
    await all.promise;
    const tookMs = performance.now() - ready;
    await world.close();
    return [
      {
        name: "restart with 1,000 runs in flight: ready → all claimed again",
        value: tookMs,
        unit: "ms",
        target: "≤ 1000",
        ok: tookMs <= 1_000,
      },
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** A process that stops without grace writes nothing of what it works on, as one that is killed. */
async function leaveInFlight(directory: string): Promise<void> {
  let begun = 0;
  const all = Promise.withResolvers<void>();
  const executor = fakeExecutor({
    name: "timer",
    act: () => {
      begun += 1;
      if (begun === runs) all.resolve();
      return new Promise(() => undefined);
    },
  });
  const world = await createWorld({
    directory,
    executors: [executor],
    settings: { places: runs, stopGraceMs: 0 },
  });
  const template = await world.template(templateOf(chain(3)));
  for (let at = 0; at < runs; at += 50)
    await Promise.all(Array.from({ length: 50 }, () => world.create(template)));
  await all.promise;
  await world.close();
}
