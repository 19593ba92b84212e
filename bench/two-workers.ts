import type { Step } from "../src/domain/step.ts";
import type { TestPostgres } from "../test/support/postgres.ts";
import type { World } from "../test/support/world.ts";
import { BusChild } from "./bus-child.ts";
import { fan, templateOf } from "./graphs.ts";
import { atLeast, type Row } from "./measure.ts";
import { withWorlds } from "./worlds.ts";

const runs = 16;
const places = 20;
const stepMs = 200;
/** So many steps begin before and after what is looked at: meanwhile more are ready than two workers have places for. */
const atEnds = 100;

/** Steps that wait for something outside: a second worker, a process as the first is, brings as many places again. */
export async function twoWorkers(postgres: TestPostgres): Promise<readonly Row[]> {
  const one = await waitingWork(postgres, 1);
  const two = await waitingWork(postgres, 2);
  const unit = "× the rate of one";
  const busy = `${one.busy.toFixed(1)} and ${two.busy.toFixed(1)} busy`;
  return [
    atLeast("PostgreSQL, two workers on steps of 200 ms, 20 places each", {
      value: one.seconds / two.seconds,
      unit,
      least: 1.8,
    }),
    atLeast(`PostgreSQL, the same while more steps are ready than places (${busy})`, {
      value: two.busy / one.busy,
      unit,
      least: 1.95,
    }),
  ];
}

interface Waited {
  /** From the first run's creation to the last one's end. */
  readonly seconds: number;
  /** Places that were taken on average, while more steps were ready than there are places: the rate, times a step's time. */
  readonly busy: number;
}

async function waitingWork(postgres: TestPostgres, workers: number): Promise<Waited> {
  const database = await postgres.createDatabase();
  const args = [postgres.url(database), String(places)];
  const children: BusChild[] = [];
  try {
    for (let at = 0; at < workers; at += 1)
      children.push(new BusChild("waiting-worker.fixture.ts", args));
    await Promise.all(children.map((child) => child.ask("ready")));
    return await withWorlds({ postgres, database, workers: 1, start: false }, async ([world]) => {
      const template = await world.template(templateOf(fan(48)));
      const work = (): Promise<Waited> => workedOff(world, template);
      // What a process does for the first time is not counted, to either side.
      await work();
      await Promise.all(children.map((child) => child.ask("wait", stepMs)));
      return work();
    });
  } finally {
    await Promise.all(children.map((child) => child.end()));
    await postgres.dropDatabase(database);
  }
}

async function workedOff(world: World, template: Parameters<World["create"]>[0]): Promise<Waited> {
  const begun = performance.now();
  const all = await Promise.all(Array.from({ length: runs }, () => world.create(template)));
  await Promise.all(all.map((run) => world.ended(run.id)));
  const seconds = (performance.now() - begun) / 1_000;
  const steps = await Promise.all(all.map((run) => world.steps(run.id)));
  return { seconds, busy: busyPlaces(steps.flat()) };
}

/** Each step counts from its claim for as long as it waits, however late its worker hears that it has ended. */
function busyPlaces(steps: readonly Step[]): number {
  const beganMs = steps
    .map(({ startedAt }) => Date.parse(startedAt ?? ""))
    .toSorted((a, b) => a - b);
  const from = beganMs[atEnds] ?? Number.NaN;
  const until = beganMs.at(-atEnds) ?? Number.NaN;
  const within = beganMs.map((began) =>
    Math.max(0, Math.min(began + stepMs, until) - Math.max(began, from)),
  );
  return within.reduce((sum, ms) => sum + ms, 0) / (until - from);
}
