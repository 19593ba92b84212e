import assert from "node:assert/strict";
import { test } from "node:test";
import { Mutex } from "./mutex.ts";

const never = new AbortController().signal;

test("one holder at a time, in order of asking, also after one that failed", async () => {
  const mutex = new Mutex();
  const order: string[] = [];
  const work = async (name: string): Promise<void> => {
    order.push(`${name} begins`);
    await new Promise(setImmediate);
    order.push(`${name} ends`);
    if (name === "a") throw new Error("a");
  };
  const runs = ["a", "b", "c"].map((name) => mutex.run(never, () => work(name)));
  const ends = await Promise.allSettled(runs);
  assert.deepEqual(
    ends.map(({ status }) => status),
    ["rejected", "fulfilled", "fulfilled"],
  );
  assert.deepEqual(order, ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
  assert.equal(mutex.busy, false);
});

test("one that is stopped while it waits gives its turn to the next", async () => {
  const mutex = new Mutex();
  const gate = Promise.withResolvers<void>();
  const stop = new AbortController();
  const first = mutex.run(never, () => gate.promise);
  const second = mutex.run(stop.signal, () => Promise.resolve("ran"));
  const third = mutex.run(never, () => Promise.resolve("third"));
  stop.abort();
  await assert.rejects(second, { code: "step-interrupted" });
  gate.resolve();
  await first;
  assert.equal(await third, "third");
});
