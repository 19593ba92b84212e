import { setTimeout as sleep } from "node:timers/promises";
import { GlasshouseError } from "../../src/domain/errors.ts";
import { Engine } from "../../src/engine/engine.ts";
import type { ExecutorContext } from "../../src/ports/executor.ts";
import type { Fence, StepRepository } from "../../src/ports/work.ts";
import { fakeExecutor } from "../../src/testing/fake-executor.ts";
import { sampleGroup, sampleTemplate } from "../../src/testing/samples.ts";
import { faultTest, nothingFound } from "../support/chaos.ts";
import { differences, sqliteDump } from "../support/dump.ts";
import { methodsOf } from "../support/port-methods.ts";
import { createWorld, type World } from "../support/world.ts";

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

faultTest(
  {
    id: "F7",
    fault: "a claim's old token, or one that was never given, at every write",
    mechanism: "the fencing token, checked by the store",
    trials: { short: 20, long: 20 },
  },
  async () => {
    const body = sampleTemplate({ web: sampleGroup({ outputs: ["token"] }) });
    const late = Promise.withResolvers<void>();
    const began = Promise.withResolvers<ExecutorContext>();
    const broken: string[] = [];
    let refused = 0;
    const successorWaits = Promise.withResolvers<void>();
    const taken = Promise.withResolvers<void>();
    const executor = fakeExecutor({
      act: async (ctx) => {
        if (ctx.token === 1) {
          began.resolve(ctx);
          await late.promise;
        } else {
          taken.resolve();
          await successorWaits.promise;
        }
      },
      outputs: (ctx) => ({ token: ctx.token }),
    });
    const world = await createWorld({ executors: [executor] });
    try {
      const run = await world.create(await world.template(body));
      const stale = await began.promise;
      const successor = new Engine(world.deps);
      await successor.start();
      await taken.promise;
      const fence = {
        stepId: stale.stepId,
        runId: run.id,
        environmentId: run.environmentId,
        token: stale.token,
      };
      for (const call of await calls(world, { fence, stale })) {
        const before = sqliteDump(world.directory);
        const error = await call.run();
        await sleep(call.waitMs);
        const changed = differences(before, sqliteDump(world.directory));
        if (changed.length > 0) broken.push(`${call.name} has changed ${changed.join(", ")}`);
        if (error !== null) refused += 1;
        else if (call.mustThrow) broken.push(`${call.name} was not refused`);
      }
      const before = sqliteDump(world.directory);
      late.resolve();
      await world.engine.stop();
      const changed = differences(before, sqliteDump(world.directory));
      if (changed.length > 0) broken.push(`the late outcome has changed ${changed.join(", ")}`);
      successorWaits.resolve();
      await world.ended(run.id);
      await successor.stop();
    } finally {
      late.resolve();
      successorWaits.resolve();
      await world.close();
    }
    return { findings: { ...nothingFound, broken }, trials: refused };
  },
);

interface Call {
  readonly name: string;
  readonly mustThrow: boolean;
  /** What it writes may be gathered for so long. */
  readonly waitMs: number;
  readonly run: () => Promise<unknown>;
}

async function calls(
  { store }: World,
  { fence, stale }: { readonly fence: Fence; readonly stale: ExecutorContext },
): Promise<readonly Call[]> {
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
        run: () => staleError(async () => known(writes, name)(stale)),
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
