import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { GlasshouseError } from "../../src/domain/errors.ts";
import { Engine } from "../../src/engine/engine.ts";
import type { ExecutorContext } from "../../src/ports/executor.ts";
import type { Fence, StepRepository } from "../../src/ports/work.ts";
import { fakeExecutor } from "../../src/testing/fake-executor.ts";
import { sampleGroup, sampleTemplate } from "../../src/testing/samples.ts";
import { faultTest, nothingFound, type Tried } from "../support/chaos.ts";
import { onPostgres, sharedPostgres } from "../support/chaos-postgres.ts";
import { differences, postgresDump, sqliteDump } from "../support/dump.ts";
import { methodsOf } from "../support/port-methods.ts";
import { postgresSkip } from "../support/postgres.ts";
import { createWorld, type World, type WorldOptions } from "../support/world.ts";

const now = "2030-01-01T00:00:00.000Z";

/** How each verb that takes a fence is called. */
const verbs: Readonly<Record<string, (steps: StepRepository, fence: Fence) => Promise<unknown>>> = {
  fence: (steps, fence) => steps.fence(fence),
  fenceLast: (steps, fence) => steps.fenceLast(fence),
  end: (steps, fence) =>
    steps.end(fence, { status: "succeeded", reason: null, failure: null, changes: [], now }),
  retry: (steps, fence) =>
    steps.retry(fence, { availableAt: null, counts: false, reason: "late", failure: null, now }),
  park: (steps, fence) =>
    steps.park(fence, {
      reason: "late",
      failure: { code: "step-failed", message: "late" },
      now,
    }),
  setChild: (steps, fence) =>
    steps.setChild(fence, { pid: 1, startTime: "1", bootId: "late", stopsWithinMs: 1 }),
  addNotes: (steps, fence) => steps.addNotes(fence, ["late"]),
};

/** What an executor can write with, called by an owner whose claim has passed to another. */
const writes: Readonly<Record<string, (ctx: ExecutorContext) => unknown>> = {
  seal: (ctx) => ctx.seal("late", "late"),
  log: (ctx) => ctx.log("late"),
  progress: (ctx) => ctx.progress({ done: 1, total: 2, message: "late" }),
  note: (ctx) => ctx.note("late"),
  childStarted: (ctx) =>
    ctx.childStarted({
      identity: { pid: 1, startTime: "1", bootId: "late", stopsWithinMs: 1 },
      holdFor: () => undefined,
    }),
  "state.saveProgress": (ctx) => ctx.state.saveProgress(lateState),
  "state.saveVersion": (ctx) => ctx.state.saveVersion(lateState),
};
const reads = ["reveal", "state.latest", "state.inProgress"];
const lateState = { bytes: new TextEncoder().encode("{}"), serial: 99, lineage: "late" };

interface Place {
  readonly options: Partial<WorldOptions>;
  readonly dump: () => Promise<ReadonlyMap<string, string>>;
  /** Lets the lease of whoever has one end. */
  readonly lapse: () => Promise<void>;
}

const places: Readonly<Record<string, () => Promise<Place>>> = {
  SQLite: async () => {
    const directory = await mkdtemp(join(tmpdir(), "glasshouse-stale-"));
    after(() => rm(directory, { recursive: true, force: true }));
    return {
      options: { directory },
      dump: async () => sqliteDump(directory),
      lapse: async () => undefined,
    };
  },
  PostgreSQL: async () => {
    const postgres = await sharedPostgres();
    const database = await postgres.database();
    return {
      options: await onPostgres(database),
      dump: () => postgresDump(postgres.server, database),
      lapse: () => postgres.passTime(database, 3_600_000),
    };
  },
};

for (const [store, open] of Object.entries(places))
  faultTest(
    {
      id: "F7",
      fault: `a claim's old token, or one that was never given, at every write to ${store}`,
      mechanism: "the fencing token, checked by the store",
      trials: { short: 20, long: 20 },
      skip: store === "PostgreSQL" && postgresSkip,
    },
    async () => writeLate(await open()),
  );

/** A step passes from one engine to another, and the first one then tries all that it could do while it had it. */
async function writeLate({ options, dump, lapse }: Place): Promise<Tried> {
  const stale = Promise.withResolvers<ExecutorContext>();
  const taken = Promise.withResolvers<void>();
  const late = Promise.withResolvers<void>();
  const executor = fakeExecutor({
    act: async (ctx) => {
      if (ctx.token === 1) stale.resolve(ctx);
      else taken.resolve();
      await late.promise;
    },
    outputs: (ctx) => ({ token: ctx.token }),
  });
  const world = await createWorld({ ...options, executors: [executor] });
  try {
    const body = sampleTemplate({ web: sampleGroup({ outputs: ["token"] }) });
    const run = await world.create(await world.template(body));
    const ctx = await stale.promise;
    await lapse();
    const successor = new Engine(world.deps);
    await successor.start();
    await taken.promise;
    // The index of search follows when things have calmed down, which is no write of a step.
    await world.store.search(() => Promise.resolve());
    const { refused, broken } = await tryAll(calls(world, { ctx, runId: run.id }), dump);
    late.resolve();
    await world.ended(run.id);
    const record = await world.store.read((tx) =>
      tx.records.get(run.environmentId, "sample", "web"),
    );
    const token = record?.outputs["token"];
    const outcome = token === 2 ? [] : [`the outcome is that of claim ${JSON.stringify(token)}`];
    await world.engine.stop();
    await successor.stop();
    return { findings: { ...nothingFound, broken: [...broken, ...outcome] }, trials: refused };
  } finally {
    late.resolve();
    await world.close();
  }
}

async function tryAll(
  all: readonly Call[],
  dump: Place["dump"],
): Promise<{ readonly refused: number; readonly broken: readonly string[] }> {
  const broken: string[] = [];
  let refused = 0;
  for (const call of all) {
    const before = await dump();
    const error = await call.run();
    await sleep(call.waitMs);
    const changed = differences(before, await dump());
    if (changed.length > 0) broken.push(`${call.name} has changed ${changed.join(", ")}`);
    if (error !== null) refused += 1;
    else if (call.mustThrow) broken.push(`${call.name} was not refused`);
  }
  return { refused, broken };
}

interface Call {
  readonly name: string;
  readonly mustThrow: boolean;
  /** What it writes may be gathered for so long. */
  readonly waitMs: number;
  readonly run: () => Promise<unknown>;
}

function calls(
  { store }: World,
  { ctx, runId }: { readonly ctx: ExecutorContext; readonly runId: string },
): readonly Call[] {
  const { stepId, token, environment } = ctx;
  const fence = { stepId, runId, environmentId: environment.id, token };
  const fenced = methodsOf("work.ts", "StepRepository").filter(({ takes }) => takes === "Fence");
  const context = methodsOf("executor.ts", "ExecutorContext").map(({ name }) => name);
  const state = methodsOf("executor.ts", "StateSlot").map(({ name }) => `state.${name}`);
  const wrongs = [
    { name: "an old token", fence },
    { name: "a token of the future", fence: { ...fence, token: fence.token + 2 } },
    { name: "another run", fence: { ...fence, token: fence.token + 1, runId: "run_other" } },
  ];
  return [
    ...fenced.flatMap(({ name }) =>
      wrongs.map((wrong) => ({
        name: `${name} with ${wrong.name}`,
        mustThrow: true,
        waitMs: 0,
        run: () =>
          staleError(() => store.transact((tx) => known(verbs, name)(tx.steps, wrong.fence))),
      })),
    ),
    ...[...context, ...state]
      .filter((name) => !reads.includes(name))
      .map((name) => ({
        name,
        // What returns nothing cannot say that it was refused.
        mustThrow: !["log", "progress"].includes(name),
        waitMs: 300,
        run: () => staleError(async () => known(writes, name)(ctx)),
      })),
  ];
}

function known<T>(table: Readonly<Record<string, T>>, name: string): T {
  const found = table[name];
  if (found === undefined) throw new Error(`the port has ${name}, and this test does not call it`);
  return found;
}

/** Null when it was taken. Another error than that the token is stale is passed on. */
async function staleError(call: () => Promise<unknown>): Promise<unknown> {
  try {
    await call();
    return null;
  } catch (error) {
    if (error instanceof GlasshouseError && error.code === "stale-token") return error;
    throw error;
  }
}
