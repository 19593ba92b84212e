import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { countRenewal, isTrusted, leaseTimes, remainingMs } from "./lease.ts";

const times = leaseTimes(30_000);

describe("a lease as its worker counts it", () => {
  it("runs from the moment its renewal was sent, and is trusted for two thirds of its time", () => {
    const count = { sentAtMs: 1_000, lapses: 0 };
    assert.deepEqual(
      [1_000, 20_999, 21_000, 30_999, 31_000].map((now) => [
        isTrusted(count, times, now),
        remainingMs(count, times, now),
      ]),
      [
        [true, 30_000],
        [true, 10_001],
        [false, 10_000],
        [false, 1],
        [false, 0],
      ],
    );
  });

  it("has lapsed when the answer came at its end or later, whenever the renewal was sent", () => {
    const count = { sentAtMs: 0, lapses: 2 };
    const early = countRenewal(count, times, { sentAtMs: 10_000, answeredAtMs: 29_999 });
    assert.deepEqual(early, { sentAtMs: 10_000, lapses: 2 });
    const late = countRenewal(count, times, { sentAtMs: 10_000, answeredAtMs: 30_000 });
    assert.deepEqual(late, { sentAtMs: 10_000, lapses: 3 });
  });
});
