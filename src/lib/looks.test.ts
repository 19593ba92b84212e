import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { Looks } from "./looks.ts";

const turn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

/** Looks of which each lasts until it is ended, on a clock that the test moves. */
function setUp(t: TestContext): {
  readonly looks: Looks;
  readonly begun: number[];
  readonly pass: (ms: number) => Promise<void>;
  readonly end: () => Promise<void>;
} {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let nowMs = 0;
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const clock = {
    monotonic: () => nowMs,
    after: (delayMs: number, fn: () => void) => {
      const timer = setTimeout(fn, delayMs);
      return () => clearTimeout(timer);
    },
  };
  const look = (): Promise<void> => {
    begun.push(nowMs);
    return new Promise((resolve) => {
      ends.push(resolve);
    });
  };
  return {
    looks: new Looks({ clock, look, restMs: 100 }),
    begun,
    pass: async (ms) => {
      nowMs += ms;
      t.mock.timers.tick(ms);
      await turn();
    },
    end: async () => {
      ends.shift()?.();
      await turn();
    },
  };
}

describe("looks", () => {
  test("are done at the earliest time that was asked for, once for all that moved", async (t) => {
    const { looks, begun, pass } = setUp(t);
    looks.within(1_000);
    looks.moved();
    looks.moved();
    await pass(99);
    assert.deepEqual(begun, []);
    await pass(1);
    assert.deepEqual(begun, [100]);
  });

  test("are done one at a time, and once more for what moved meanwhile", async (t) => {
    const { looks, begun, pass, end } = setUp(t);
    looks.moved();
    await pass(100);
    looks.moved();
    looks.within(50);
    await pass(1_000);
    assert.deepEqual(begun, [100]);
    await end();
    await pass(99);
    assert.deepEqual(begun, [100]);
    await pass(1);
    assert.deepEqual(begun, [100, 1_200]);
    await end();
    await pass(10_000);
    assert.equal(begun.length, 2);
  });

  test("end when the one under way has ended, and none begins after that", async (t) => {
    const { looks, begun, pass, end } = setUp(t);
    looks.within(10);
    await pass(10);
    looks.moved();
    let isStopped = false;
    const stopped = looks.stop().then(() => (isStopped = true));
    await turn();
    assert.equal(isStopped, false);
    await end();
    await stopped;
    looks.within(0);
    await pass(10_000);
    assert.deepEqual(begun, [10]);
  });
});
