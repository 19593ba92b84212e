import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { StoreFault, type ErrorCode } from "../src/domain/errors.ts";
import { isEnded, type Run } from "../src/domain/run.ts";
import type { Store } from "../src/ports/store.ts";
import type { ExecutorContext } from "../src/ports/executor.ts";
import { fakeExecutor } from "../src/testing/fake-executor.ts";
import { sampleGroup, sampleTemplate } from "../src/testing/samples.ts";
import { createWorld } from "./support/world.ts";

/** A database that refuses its user for a while, and one that does not come to it in time: both are codes that end a step when they are its own. */
const codes: readonly ErrorCode[] = ["invalid-configuration", "timeout"];
/** About as much as a run of two groups asks of its store. */
const places = 14;
/** A failure of its own would end a step. */
const retry = { attempts: 1, backoffMs: 0 };

const shop = sampleTemplate({
  network: sampleGroup({ outputs: ["id"], retry }),
  web: sampleGroup({
    inputs: ["network"],
    retry,
    with: { create: "${{ groups.network.outputs.id }}" },
  }),
});

describe("a store that says once that it cannot be used now", () => {
  for (const code of codes)
    test(`with the code ${code}, at whichever call: the run goes on and succeeds, nothing is done twice, and no attempt is counted for it`, async () => {
      const calls = Array.from({ length: places }, (_, at) => at);
      const [created, destroyed] = await Promise.all([
        Promise.all(calls.map((at) => trial({ code, at, kind: "create" }))),
        Promise.all(calls.map((at) => trial({ code, at, kind: "destroy" }))),
      ]);
      for (const { how, made, counted } of [...created, ...destroyed]) {
        assert.equal(how, "succeeded");
        assert.deepEqual(made, ["network", "web"]);
        assert.deepEqual(counted, [1, 1]);
      }
      for (const { unmade } of destroyed) assert.deepEqual(unmade, ["web", "network"]);
      for (const all of [created, destroyed])
        assert.ok(all.filter(({ refused }) => refused).length > 5, "hardly a call was refused");
    });
});

/** A run of which the n-th call is refused, from 0. */
async function trial(of: {
  readonly code: ErrorCode;
  readonly at: number;
  readonly kind: "create" | "destroy";
}) {
  let left = Number.POSITIVE_INFINITY;
  let refused = false;
  const refuse = (): void => {
    left -= 1;
    if (left !== -1) return;
    refused = true;
    throw new StoreFault(of.code, "the store cannot be used now");
  };
  const raw: Store[] = [];
  const acted: string[] = [];
  // What it delivers is stored after it has acted and before its outcome is.
  const act = async (ctx: ExecutorContext): Promise<void> => {
    acted.push(ctx.group);
    await ctx.seal("password", "of the test's own");
  };
  const executor = fakeExecutor({ act });
  const world = await createWorld({
    executors: [executor],
    settings: { sweepMs: 50 },
    bend: (store) => {
      raw.push(store);
      return refusing(store, refuse);
    },
  });
  try {
    let run = await world.create(await world.template(shop));
    if (of.kind === "destroy") {
      await endOf(raw[0] ?? world.store, run.id);
      run = await world.queue(run.environmentId, "destroy");
    }
    left = of.at;
    const ended = await endOf(raw[0] ?? world.store, run.id);
    const how = ended.failure === null ? ended.status : JSON.stringify(ended.failure);
    left = Number.POSITIVE_INFINITY;
    const counted = (await world.steps(run.id)).map(({ attempts }) => attempts);
    return { how, made: acted, unmade: executor.order("destroyed"), counted, refused };
  } finally {
    left = Number.POSITIVE_INFINITY;
    await world.close();
  }
}

/** Seen past what is refused. */
async function endOf(store: Store, id: string): Promise<Run> {
  for (;;) {
    const run = await store.read((tx) => tx.runs.get(id));
    if (run !== null && isEnded(run)) return run;
    await pause(20);
  }
}

/** Before the call does anything. */
function refusing(store: Store, refuse: () => void): Store {
  return {
    transact: async (fn, how) => {
      refuse();
      return store.transact(fn, how);
    },
    read: async (fn) => {
      refuse();
      return store.read(fn);
    },
    search: (fn) => store.search(fn),
    watch: (topic, fn) => store.watch(topic, fn),
    lease: (worker) => store.lease(worker),
    health: () => store.health(),
    close: () => store.close(),
  };
}
