import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { plannedDestruction } from "./lifetime.ts";

const createdAt = "2026-01-01T00:00:00.000Z";
const later = "2026-01-02T00:00:00.000Z";
const day = 86_400_000;

describe("the planned destruction", () => {
  test("is what was asked for, else the default, else the maximum, else never", () => {
    const at = { createdAt, now: createdAt };
    const lifetime = { defaultMs: day, maximumMs: 2 * day };
    assert.equal(plannedDestruction({ ...at, ttl: "1h", lifetime }), "2026-01-01T01:00:00.000Z");
    assert.equal(plannedDestruction({ ...at, ttl: undefined, lifetime }), later);
    const most = { maximumMs: day };
    assert.equal(plannedDestruction({ ...at, ttl: undefined, lifetime: most }), later);
    assert.equal(plannedDestruction({ ...at, ttl: undefined, lifetime: {} }), null);
    assert.equal(plannedDestruction({ ...at, ttl: null, lifetime: {} }), null);
  });

  test("counts the maximum from the creation, not from now", () => {
    const lifetime = { maximumMs: 2 * day };
    const of = { createdAt, now: later, lifetime };
    assert.equal(plannedDestruction({ ...of, ttl: "24h" }), "2026-01-03T00:00:00.000Z");
    assert.throws(() => plannedDestruction({ ...of, ttl: "25h" }), /at most 2d/u);
    assert.throws(() => plannedDestruction({ ...of, ttl: null }), /at most 2d/u);
  });
});
