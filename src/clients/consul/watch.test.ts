import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { watch, type Indexed, type WaitFor } from "./watch.ts";

/** Answers one after the other, then ends the watch; says what was asked and what was told. */
async function follow(answers: readonly (Indexed<string> | Error)[]) {
  const end = new AbortController();
  const asked: (number | null)[] = [];
  const told: string[] = [];
  const failures: unknown[] = [];
  const left = answers.values();
  await watch({
    read: (wait: WaitFor | null) => {
      asked.push(wait?.index ?? null);
      const { value, done } = left.next();
      if (done === true) end.abort();
      if (value instanceof Error) return Promise.reject(value);
      return Promise.resolve(value ?? { value: "", index: 0 });
    },
    changed: (value) => void told.push(value),
    failed: (error) => void failures.push(error),
    signal: end.signal,
  });
  return { asked, told, failures };
}

describe("a watch by blocking queries", () => {
  test("reads at once, then waits for what comes after, and tells only changes", async () => {
    const { asked, told } = await follow([
      { value: "a", index: 7 },
      { value: "a", index: 7 },
      { value: "b", index: 9 },
    ]);
    assert.deepEqual(asked, [null, 7, 7, 9]);
    assert.deepEqual(told, ["a", "b"]);
  });

  test("forgets an index that goes backwards, and tells what is there then", async () => {
    const { asked, told } = await follow([
      { value: "a", index: 100 },
      { value: "restored", index: 3 },
      { value: "restored", index: 3 },
      { value: "later", index: 4 },
    ]);
    assert.deepEqual(asked, [null, 100, null, 3, 4]);
    assert.deepEqual(told, ["a", "restored", "restored", "later"]);
  });

  test("never waits for index 0, which would not wait", async () => {
    const { asked, told } = await follow([
      { value: "a", index: 0 },
      { value: "a", index: 0 },
    ]);
    assert.ok(!asked.includes(0), asked.join());
    assert.equal(told[0], "a");
  });

  test("asks after a failure for what is there now, and tells it also when nothing has changed", async () => {
    const { asked, told, failures } = await follow([
      { value: "a", index: 7 },
      new Error("gone"),
      { value: "a", index: 7 },
      { value: "b", index: 8 },
    ]);
    assert.deepEqual(asked, [null, 7, null, 7, 8]);
    assert.deepEqual(told, ["a", "a", "b"]);
    assert.equal(failures.length, 1);
  });

  test("ends while it waits when it is told to", async () => {
    const end = new AbortController();
    const watching = watch({
      read: (_, signal) =>
        new Promise<Indexed<string>>((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason));
        }),
      changed: () => assert.fail("nothing has changed"),
      failed: () => assert.fail("nothing has failed"),
      signal: end.signal,
    });
    setTimeout(() => end.abort(), 20);
    await watching;
  });
});
