import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { GlasshouseError } from "../../src/domain/errors.ts";
import { fakeExecutor } from "../../src/testing/fake-executor.ts";
import { sampleGroup, sampleTemplate } from "../../src/testing/samples.ts";
import { bent, but } from "../support/crash-world.ts";
import { createWorld } from "../support/world.ts";

const body = sampleTemplate({ web: sampleGroup({ retry: { attempts: 1, backoffMs: 0 } }) });

function noSpace(): Error {
  return Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
}

describe("a step that finds no room on the disk", () => {
  test("is paused and goes on when there is room, although its policy allows no second attempt", async () => {
    const faults = [
      noSpace(),
      new GlasshouseError("step-failed", "it could not be started", { cause: noSpace() }),
      new GlasshouseError("storage-full", "The disk is full."),
    ];
    const executor = fakeExecutor({
      act: async () => {
        const fault = faults.shift();
        if (fault !== undefined) throw fault;
      },
    });
    const world = await createWorld({ executors: [executor] });
    try {
      const run = await world.create(await world.template(body));
      assert.equal((await world.ended(run.id)).status, "succeeded");
      const [step] = await world.steps(run.id);
      assert.deepEqual([step?.token, step?.attempts], [4, 1]);
    } finally {
      await world.close();
    }
  });

  test("keeps the lines of its log until they can be stored", async () => {
    let full = true;
    const executor = fakeExecutor({ act: async (ctx) => ctx.log("made it") });
    const world = await createWorld({
      executors: [executor],
      bend: (store) =>
        bent(store, (tx) => ({
          logs: but(tx.logs, {
            append: async (stepId, lines) => {
              if (full) throw new GlasshouseError("storage-full", "The disk is full.");
              return tx.logs.append(stepId, lines);
            },
          }),
        })),
    });
    try {
      const run = await world.create(await world.template(body));
      await world.ended(run.id);
      full = false;
      const [step] = await world.steps(run.id);
      const deadline = Date.now() + 10_000;
      let texts: readonly string[] = [];
      while (texts.length === 0 && Date.now() < deadline) {
        await sleep(100);
        const lines = await world.store.read((tx) => tx.logs.after(step?.id ?? "", 0, 10));
        texts = lines.map(({ text }) => text);
      }
      assert.deepEqual(texts, ["made it"]);
    } finally {
      await world.close();
    }
  });
});
