import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { GlasshouseError } from "../src/domain/errors.ts";
import {
  fakeExecutor,
  untilInterrupted,
  type FakeExecutorOptions,
} from "../src/testing/fake-executor.ts";
import { getRun, listRuns } from "../src/services/run.ts";
import { createServiceWorld, plainYaml, type ServiceWorld } from "./support/services.ts";

const worlds: ServiceWorld[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close();
});

async function worldWith(options: FakeExecutorOptions): Promise<ServiceWorld> {
  const w = await createServiceWorld({ executors: [fakeExecutor(options)], start: true });
  worlds.push(w);
  await w.register(plainYaml());
  return w;
}

const create = (w: ServiceWorld): ReturnType<ServiceWorld["send"]> =>
  w.send("environment.create", "e", { template: "plain" });

/** Fails as often as it is told to, then succeeds. */
function failing(times: number): FakeExecutorOptions {
  let left = times;
  return {
    act: async () => {
      left -= 1;
      if (left >= 0) throw new GlasshouseError("step-failed", "It failed as told.");
    },
  };
}

describe("a run of which a step waits", () => {
  for (const [code, kind] of [
    ["unavailable", "dependency"],
    ["storage-full", "storage"],
  ] as const)
    test(`says so while that is ${code}, and nothing any more once it is done`, async () => {
      const world = { isAway: true };
      const w = await worldWith({
        act: async () => {
          if (world.isAway) throw new GlasshouseError(code, "It is not there.");
        },
      });
      const { runId } = await create(w);
      const read = async () => (await getRun(w.services, runId ?? "")).run;
      let run = await read();
      while (run.blocker === null) {
        await sleep(5);
        run = await read();
      }
      assert.deepEqual(
        [run.status, run.reason, run.blocker],
        [
          "running",
          "apply:plain/one: it is tried again: It is not there.",
          { kind, on: ["apply:plain/one"] },
        ],
      );
      const page = await listRuns(w.services, { status: "running" }, { limit: 5, cursor: null });
      assert.deepEqual(page.items[0]?.run.blocker, run.blocker);
      world.isAway = false;
      assert.equal((await w.ended(runId ?? "")).status, "succeeded");
      const { reason, blocker } = await read();
      assert.deepEqual([reason, blocker], [null, null]);
    });

  test("says nothing of a failure that counts: that is said by the step", async () => {
    const w = await worldWith({
      act: async () => {
        throw new GlasshouseError("timeout", "It was late.");
      },
    });
    const { runId } = await create(w);
    let tries = 0;
    while (tries === 0) {
      await sleep(5);
      tries = (await w.steps(runId ?? "")).filter(({ failure }) => failure !== null).length;
    }
    const { run } = await getRun(w.services, runId ?? "");
    assert.deepEqual([run.status, run.blocker], ["running", null]);
  });
});

describe("retrying a run", () => {
  test("goes on with the same run, and ends its command with it", async () => {
    const w = await worldWith(failing(1));
    const { runId } = await create(w);
    assert.equal((await w.ended(runId ?? "")).status, "failed");
    assert.equal((await w.named("e")).status, "deployed-failed");
    const retry = await w.send("run.retry", runId);
    assert.deepEqual([retry.status, retry.runId], ["accepted", runId]);
    const run = await w.until(runId ?? "", ({ status }) => status === "succeeded");
    assert.deepEqual([run.attempt, run.progress.failed], [2, 0]);
    assert.equal((await w.named("e")).status, "deployed-ok");
    const command = await w.store.read((tx) => tx.commands.get(retry.id));
    assert.equal(command?.status, "completed");
  });

  test("is refused when what is wanted has moved, or another run came after", async () => {
    const w = await worldWith(failing(2));
    const { runId } = await create(w);
    await w.ended(runId ?? "");
    const again = await w.send("environment.update", "e");
    await w.ended(again.runId ?? "");
    const older = await w.refused("run.retry", runId);
    assert.equal(older.code, "conflict");
    assert.match(older.message, new RegExp(again.runId ?? "", "u"));
    const changed = await w.send("environment.update", "e", { parameters: { size: 2 } });
    await w.ended(changed.runId ?? "");
    assert.equal((await w.refused("run.retry", again.runId)).code, "conflict");
  });

  test("is refused for runs that did not fail, and for unknown ones", async () => {
    const w = await worldWith({});
    const { runId } = await create(w);
    await w.ended(runId ?? "");
    assert.equal((await w.refused("run.retry", runId)).code, "conflict");
    assert.equal((await w.refused("run.retry", "run_unknown")).code, "not-found");
    assert.equal((await w.refused("run.retry", null)).code, "invalid-request");
  });

  test("happens once, however many ask at once", async () => {
    const w = await worldWith(failing(1));
    const { runId } = await create(w);
    await w.ended(runId ?? "");
    const asked = await Promise.allSettled(
      Array.from({ length: 10 }, () => w.send("run.retry", runId)),
    );
    assert.equal(asked.filter(({ status }) => status === "fulfilled").length, 1);
    assert.equal((await w.until(runId ?? "", (run) => run.status === "succeeded")).attempt, 2);
  });

  test("hands accepted leaks to the step", async () => {
    const seen: (readonly string[])[] = [];
    const w = await worldWith({
      act: async (ctx) => {
        seen.push(ctx.acceptedLeaks);
        if (seen.length === 1) throw new GlasshouseError("step-failed", "It failed.");
      },
    });
    const { runId } = await create(w);
    await w.ended(runId ?? "");
    await w.send("run.retry", runId, { acceptLeaks: ["a.b"] });
    await w.until(runId ?? "", (run) => run.status === "succeeded");
    assert.deepEqual(seen, [[], ["a.b"]]);
  });
});

describe("cancelling a run", () => {
  test("asks the engine to stop it, and a second time to kill", async () => {
    const w = await worldWith({ act: untilInterrupted });
    const { runId, id } = await create(w);
    await w.until(runId ?? "", (run) => run.status === "running");
    const cancel = await w.send("run.cancel", runId);
    assert.equal(cancel.status, "completed");
    assert.equal((await w.ended(runId ?? "")).status, "cancelled");
    assert.equal((await w.named("e")).status, "deployed-failed");
    assert.equal((await w.store.read((tx) => tx.commands.get(id)))?.status, "cancelled");
    assert.equal((await w.refused("run.cancel", runId)).code, "conflict");
  });

  test("remembers a second request as a kill", async () => {
    const hold = Promise.withResolvers<void>();
    const w = await worldWith({ act: async () => hold.promise });
    const { runId } = await create(w);
    await w.until(runId ?? "", (run) => run.status === "running");
    await w.send("run.cancel", runId);
    assert.equal((await w.run(runId)).killRequested, false);
    await w.send("run.cancel", runId);
    assert.equal((await w.run(runId)).killRequested, true);
    hold.resolve();
    await w.ended(runId ?? "");
  });

  test("ends a queued one at once, with its commands and a reason in the environment", async () => {
    const w = await createServiceWorld();
    worlds.push(w);
    await w.register(plainYaml());
    const { runId, id } = await create(w);
    await w.send("run.cancel", runId);
    assert.equal((await w.run(runId)).status, "cancelled");
    assert.equal((await w.store.read((tx) => tx.commands.get(id)))?.status, "cancelled");
    const { status, reason } = await w.named("e");
    assert.equal(status, "deployed-failed");
    assert.equal(reason, "the create was cancelled before it began");
  });

  test("refuses approval of a run that does not wait for it", async () => {
    const w = await worldWith({});
    const { runId } = await create(w);
    await w.ended(runId ?? "");
    assert.equal((await w.refused("run.approve", runId)).code, "conflict");
  });
});
