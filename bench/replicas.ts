import type { TemplateBody } from "../src/domain/template.ts";
import { fakeExecutor } from "../src/testing/fake-executor.ts";
import { TestPostgres } from "../test/support/postgres.ts";
import { chain, templateOf } from "./graphs.ts";
import { atLeast, median, shown, type BenchOptions, type Row } from "./measure.ts";
import { oldSteps } from "./old-steps.ts";
import { peerHopMs, peerRate, peers } from "./peers.ts";
import { twoWorkers } from "./two-workers.ts";
import { withWorlds } from "./worlds.ts";

const usualRuns = 1_000;
const many = { steps: 10, inFlight: 64 };
const hops = 300;
const rounds = 3;

/** B2 on PostgreSQL with its usual durability, beside the engines that people would take instead, on the same server. */
export async function replicas({ runs }: BenchOptions): Promise<readonly Row[]> {
  const count = runs ?? usualRuns;
  const postgres = await TestPostgres.start({ fsync: true });
  try {
    return [
      ...(await runsBesidePeers(postgres, count)),
      ...(await hopBesidePeers(postgres)),
      ...(await twoWorkers(postgres)),
      await overOldSteps(postgres, count),
    ];
  } finally {
    await postgres.remove();
  }
}

async function runsBesidePeers(postgres: TestPostgres, runs: number): Promise<readonly Row[]> {
  const ours: number[] = [];
  const theirs = new Map<string, number[]>(peers.map((peer) => [peer, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const peer of peers)
      theirs.get(peer)?.push(await peerRate(postgres, peer, { runs, ...many }));
    ours.push(await ourRate(postgres, { runs }));
  }
  const rate = median(ours);
  const rates = peers.map((peer) => ({ peer, rate: median(theirs.get(peer) ?? []) }));
  const best = rates.reduce((a, b) => (a.rate > b.rate ? a : b));
  const ofDbos = rate / (rates.find(({ peer }) => peer === "dbos")?.rate ?? Number.NaN);
  const name = `PostgreSQL, ${runs} runs × 10 steps, 64 in flight`;
  return [
    shown(`${name}: rate`, rate, "steps/s"),
    ...rates.map((of) => shown(`  ${of.peer}: rate`, of.rate, "steps/s")),
    atLeast(name, { value: ofDbos, unit: "× DBOS's rate", least: 2 }),
    atLeast(name, {
      value: rate / best.rate,
      unit: `× the best peer's (${best.peer})`,
      least: 1.3,
    }),
  ];
}

async function hopBesidePeers(postgres: TestPostgres): Promise<readonly Row[]> {
  const ours: number[] = [];
  const theirs = new Map<string, number[]>(peers.map((peer) => [peer, []]));
  for (let round = 0; round < rounds; round += 1) {
    ours.push(await ourHopMs(postgres));
    for (const peer of peers) theirs.get(peer)?.push(await peerHopMs(postgres, peer, hops));
  }
  const all = peers.map((peer) => ({ peer, hopMs: median(theirs.get(peer) ?? []) }));
  const best = all.reduce((a, b) => (a.hopMs < b.hopMs ? a : b));
  const value = median(ours) / best.hopMs;
  return [
    shown("PostgreSQL, a hop in a chain of 300", median(ours), "ms"),
    ...all.map((of) => shown(`  ${of.peer}: a hop`, of.hopMs, "ms")),
    {
      name: "PostgreSQL, a hop",
      value,
      unit: `× the best peer's (${best.peer})`,
      target: "≤ 0.5",
      ok: value <= 0.5,
    },
  ];
}

async function overOldSteps(postgres: TestPostgres, runs: number): Promise<Row> {
  const ratios: number[] = [];
  const full = await postgres.createDatabase();
  await withWorlds({ postgres, database: full, workers: 1 }, async ([world]) => {
    const run = await world.create(await world.template(unheardOf(templateOf(chain(many.steps)))));
    await world.ended(run.id);
  });
  await oldSteps(postgres, full);
  for (let round = 0; round < rounds; round += 1) {
    const empty = await ourRate(postgres, { runs });
    ratios.push((await ourRate(postgres, { runs, database: full })) / empty);
  }
  return atLeast("PostgreSQL, the same runs over 1,000,000 old steps", {
    value: median(ratios),
    unit: "× the rate on an empty database",
    least: 0.9,
  });
}

let versions = 0;

/** A database that is used several times takes a version once. */
function unheardOf(body: TemplateBody): TemplateBody {
  versions += 1;
  return { ...body, version: `1.0.${versions}` };
}

/** Steps a second, after one run that is not counted, as the peers have one. */
async function ourRate(
  postgres: TestPostgres,
  { runs, database }: { readonly runs: number; readonly database?: string },
): Promise<number> {
  const waiting = new Map<string, () => void>();
  const executor = fakeExecutor({
    name: "timer",
    act: async (ctx) => {
      if (ctx.group === `g${many.steps - 1}`) waiting.get(ctx.environment.id)?.();
    },
  });
  const of = { postgres, database, workers: 1, executor, settings: { places: many.inFlight } };
  return withWorlds(of, async ([world]) => {
    const template = await world.template(unheardOf(templateOf(chain(many.steps), {})));
    const runOne = async (): Promise<void> => {
      const done = Promise.withResolvers<void>();
      const run = await world.create(template);
      waiting.set(run.environmentId, done.resolve);
      await done.promise;
    };
    await runOne();
    const begun = performance.now();
    let next = 0;
    const feed = async (): Promise<void> => {
      while (next < runs) {
        next += 1;
        await runOne();
      }
    };
    await Promise.all(Array.from({ length: many.inFlight }, feed));
    return (runs * many.steps) / ((performance.now() - begun) / 1_000);
  });
}

async function ourHopMs(postgres: TestPostgres): Promise<number> {
  const times: number[] = [];
  const executor = fakeExecutor({
    name: "timer",
    act: async () => {
      times.push(performance.now());
    },
  });
  return withWorlds({ postgres, workers: 1, executor }, async ([world]) => {
    const run = await world.create(await world.template(templateOf(chain(hops))));
    await world.ended(run.id);
    return ((times.at(-1) ?? 0) - (times[0] ?? 0)) / (times.length - 1);
  });
}
