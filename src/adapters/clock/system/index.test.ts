import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isId } from "../../../domain/id.ts";
import { SystemClock } from "./index.ts";

describe("the system clock", () => {
  test("makes ids of the asked kind that sort in the order they were made", () => {
    const clock = new SystemClock();
    const ids = Array.from({ length: 5_000 }, () => clock.id("run"));
    assert.equal(
      ids.every((id) => isId("run", id)),
      true,
    );
    assert.deepEqual(ids.toSorted(), ids);
    assert.equal(new Set(ids).size, ids.length);
  });

  test("keeps the order of ids when the wall clock jumps back", (t) => {
    t.mock.timers.enable({ apis: ["Date"], now: 2_000_000 });
    const clock = new SystemClock();
    const before = clock.id("step");
    t.mock.timers.setTime(1_000_000);
    assert.ok(clock.id("step") > before);
  });

  test("calls a function once after its delay, and not at all when it was forgotten", async () => {
    const clock = new SystemClock();
    const called: string[] = [];
    const startedMs = clock.monotonic();
    const { promise, resolve } = Promise.withResolvers<void>();
    const keepAlive = setTimeout(() => undefined, 5_000);
    const forget = clock.after(5, () => called.push("forgotten"));
    forget();
    forget();
    clock.after(20, () => {
      called.push("due");
      resolve();
    });
    await promise;
    clearTimeout(keepAlive);
    assert.deepEqual(called, ["due"]);
    assert.ok(clock.monotonic() - startedMs >= 19);
  });

  test("waits for the rest when a timer comes early", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    let nowMs = 0;
    t.mock.method(performance, "now", () => nowMs);
    let called = false;
    new SystemClock().after(20, () => (called = true));
    nowMs = 17;
    t.mock.timers.tick(20);
    assert.equal(called, false);
    nowMs = 20;
    t.mock.timers.tick(3);
    assert.equal(called, true);
  });

  test("waits longer than one timer can", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const startedMs = performance.now();
    let passedMs = 0;
    t.mock.method(performance, "now", () => startedMs + passedMs);
    const clock = new SystemClock();
    let called = false;
    const delayMs = 2 ** 31 + 10_000;
    clock.after(delayMs, () => (called = true));
    const pass = (ms: number): void => {
      passedMs += ms;
      t.mock.timers.tick(ms);
    };
    pass(2 ** 31 - 1);
    assert.equal(called, false);
    pass(10_001);
    assert.equal(called, true);
  });
});
