import { createWorld, type World } from "../test/support/world.ts";
import { fakeExecutor } from "../src/testing/fake-executor.ts";
import { chain, fan, layered, templateOf, type Shape } from "./graphs.ts";
import { runInMemory } from "./memory-runner.ts";
import { fdatasyncMedianMs, median, type Row } from "./measure.ts";

const pairs = 3;
const parallelism = 10;

/** B1: what durable execution adds to a graph of timers, against an in-memory runner with the same timers in the same run. */
export async function graphOverhead(): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const [name, shape, target] of [
    ["chain of 100", chain(100), 1.01],
    ["1-1000-1", fan(1_000), 1.03],
    ["layered 10×100, 3 parents", layered(10, 100), 1.03],
  ] as const) {
    rows.push(await timed(name, shape, target));
  }
  return [...rows, ...(await hops())];
}

async function timed(name: string, shape: Shape, target: number): Promise<Row> {
  const ratios: number[] = [];
  for (let pair = 0; pair < pairs; pair += 1) {
    const ours = await engineRun(shape, sleep50);
    const limit = await runInMemory(shape, { parallelism, act: sleep50 });
    ratios.push(ours.makespanMs / limit);
  }
  return {
    name: `graph overhead, ${name}, 50 ms steps`,
    value: median(ratios),
    unit: "× in-memory runner",
    target: `≤ ${target}`,
    ok: median(ratios) <= target,
  };
}

/** At 0 ms a hop is one transaction: what it costs in multiples of the disk's own fdatasync. */
async function hops(): Promise<readonly Row[]> {
  const shape = chain(1_000);
  const perHop: number[] = [];
  let commitsAHop = 0;
  for (let pair = 0; pair < pairs; pair += 1) {
    const limit = fdatasyncMedianMs();
    const { makespanMs, commits } = await engineRun(shape, () => Promise.resolve());
    perHop.push(makespanMs / shape.size / limit);
    commitsAHop = commits / shape.size;
  }
  const value = median(perHop);
  return [
    {
      name: "a hop at 0 ms, chain of 1,000",
      value,
      unit: "× fdatasync median",
      target: "≤ 4",
      ok: value <= 4,
    },
    {
      name: "commits a hop, each one fsync of the log",
      value: commitsAHop,
      unit: "fsync",
      target: "≤ 1.05",
      ok: commitsAHop <= 1.05,
    },
  ];
}

/** From the moment its first step is claimed to its end, as the run itself records. */
export async function engineRun(
  shape: Shape,
  act: () => Promise<void>,
): Promise<{ readonly makespanMs: number; readonly commits: number }> {
  const marks: number[] = [];
  const executor = fakeExecutor({
    name: "timer",
    act: async () => {
      if (marks.length === 0) marks.push(performance.now());
      await act();
    },
  });
  let commits = 0;
  const world: World = await createWorld({
    executors: [executor],
    onCommit: (_, phase) => {
      if (phase === "after" && marks.length > 0) commits += 1;
    },
  });
  try {
    const run = await world.create(await world.template(templateOf(shape)));
    const ended = await world.ended(run.id);
    if (ended.status !== "succeeded") throw new Error(`the measured run ended as ${ended.status}`);
    return { makespanMs: performance.now() - (marks[0] ?? 0), commits };
  } finally {
    await world.close();
  }
}

function sleep50(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 50);
  });
}
