import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GlasshouseError } from "../../src/domain/errors.ts";
import type { NewEvent } from "../../src/domain/event.ts";
import { Engine } from "../../src/engine/engine.ts";
import type { Store } from "../../src/ports/store.ts";
import { fakeExecutor } from "../../src/testing/fake-executor.ts";
import { sampleGroup, sampleTemplate } from "../../src/testing/samples.ts";
import { bent, but, liveOn } from "./crash-world.ts";
import type { Experiment } from "./experiment.ts";
import { createWorld } from "./world.ts";

const body = sampleTemplate({ web: sampleGroup({ outputs: ["token"] }) });

/** An owner that was taken for dead comes back and writes. Without the fence it overwrites what its successor made. */
export const fenceExperiment: Experiment = {
  promise: "one writer",
  mechanism: "the fencing token of each write",
  async run(on) {
    const asleep = Promise.withResolvers<void>();
    const began = Promise.withResolvers<void>();
    const executor = fakeExecutor({
      act: async (ctx) => {
        began.resolve();
        if (ctx.token === 1) await asleep.promise;
      },
      outputs: (ctx) => ({ token: ctx.token }),
    });
    const world = await createWorld({ executors: [executor], unsafeWithoutFence: !on });
    try {
      const run = await world.create(await world.template(body));
      await began.promise;
      const successor = new Engine(world.deps);
      await successor.start();
      await world.ended(run.id);
      asleep.resolve();
      await world.engine.stop();
      await successor.stop();
      const record = await world.store.read((tx) =>
        tx.records.get(run.environmentId, "sample", "web"),
      );
      const token = record?.outputs["token"];
      return token === 2
        ? null
        : `the record is that of claim ${JSON.stringify(token)}, not of claim 2`;
    } finally {
      await world.close();
    }
  },
};

/** The server dies when a step's success is told. Without: the event is written after the commit of what it tells. */
export const eventExperiment: Experiment = {
  promise: "each change is told at least once",
  mechanism: "one transaction for state and event",
  async run(on) {
    const directory = await mkdtemp(join(tmpdir(), "glasshouse-events-"));
    const executors = [fakeExecutor({ settle: () => ({ kind: "again" }) })];
    try {
      const dead = Promise.withResolvers<void>();
      const world = await createWorld({
        directory,
        executors,
        settings: { stopGraceMs: 1 },
        bend: (store) => dyingAtEvents(store, on, dead.resolve),
      });
      const run = await world.create(await world.template(body));
      await dead.promise;
      await world.close();
      const { status } = await liveOn({ directory, executors }, run.id);
      return status === "succeeded" ? await untold(directory, run.id) : `the run is ${status}`;
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
};

async function untold(directory: string, runId: string): Promise<string | null> {
  const world = await createWorld({ directory, executors: [fakeExecutor()], start: false });
  try {
    const told = await world.store.read((tx) => tx.events.after(0, { limit: 1_000 }));
    const [step] = await world.steps(runId);
    const known = told.some(({ type, stepId }) => type === "step.succeeded" && stepId === step?.id);
    return known ? null : "a step succeeded and no event tells of it";
  } finally {
    await world.close();
  }
}

/** Everything stops at the first success that is to be told: in the transaction of the change, or after its commit. */
function dyingAtEvents(store: Store, inTransaction: boolean, died: () => void): Store {
  const life = { isOver: false };
  const isOver = (): boolean => life.isOver;
  const bended = bent(store, (tx) => ({
    events: but(tx.events, {
      append: async (events, now) => {
        if (!isSuccess(events)) return tx.events.append(events, now);
        life.isOver = true;
        if (inTransaction) throw new Error("the server died here");
        return [];
      },
    }),
  }));
  return {
    ...bended,
    transact: async (fn) => {
      if (isOver()) throw gone();
      const done = await bended.transact(fn).then(
        (value) => ({ value }),
        (error: unknown) => ({ error }),
      );
      if (isOver()) {
        died();
        throw gone();
      }
      if ("error" in done) throw done.error;
      return done.value;
    },
  };
}

function gone(): GlasshouseError {
  return new GlasshouseError("unavailable", "The server died.");
}

function isSuccess(events: readonly NewEvent[]): boolean {
  return events.some(({ type }) => type === "step.succeeded");
}
