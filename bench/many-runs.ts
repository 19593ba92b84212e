import { createWorld } from "../test/support/world.ts";
import { fakeExecutor } from "../src/testing/fake-executor.ts";
import { chain, templateOf } from "./graphs.ts";
import type { Row } from "./measure.ts";

const runs = 1_000;
const stepsARun = 10;
const inFlight = 64;

/** B2 b: many small runs at once share commits, so that the disk is not the bound. */
export async function manyRuns(): Promise<readonly Row[]> {
  let commits = 0;
  // The run's last group tells that it is done; watching the store 64 times over would be measured too.
  const waiting = new Map<string, () => void>();
  const executor = fakeExecutor({
    name: "timer",
    act: async (ctx) => {
      if (ctx.group === `g${stepsARun - 1}`) waiting.get(ctx.environment.id)?.();
    },
  });
  const world = await createWorld({
    executors: [executor],
    settings: { places: inFlight },
    onCommit: (_, phase) => {
      if (phase === "after") commits += 1;
    },
  });
  try {
    const template = await world.template(templateOf(chain(stepsARun)));
    const before = commits;
    const begun = performance.now();
    let next = 0;
    const feed = async (): Promise<void> => {
      while (next < runs) {
        next += 1;
        const done = Promise.withResolvers<void>();
        const run = await world.create(template);
        waiting.set(run.environmentId, done.resolve);
        await done.promise;
      }
    };
    await Promise.all(Array.from({ length: inFlight }, feed));
    await world.engine.tick();
    const seconds = (performance.now() - begun) / 1_000;
    const steps = runs * stepsARun;
    const perStep = (commits - before) / steps;
    return [
      {
        name: "1,000 runs × 10 steps, 64 in flight: commits (one fsync each)",
        value: perStep,
        unit: "fsync a step",
        target: "≤ 0.1",
        ok: perStep <= 0.1,
      },
      {
        name: "1,000 runs × 10 steps, 64 in flight: rate",
        value: steps / seconds,
        unit: "steps/s",
        target: "shown",
        ok: true,
      },
    ];
  } finally {
    await world.close();
  }
}
