import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { backoff } from "./backoff.ts";

test("grows from the base, stays below the most, and never falls under half of its bound", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (attempt, random) => {
        const delayMs = backoff({ attempt, baseMs: 100, mostMs: 5_000, random });
        const bound = Math.min(5_000, 100 * 2 ** (attempt - 1));
        assert.ok(delayMs >= bound / 2 && delayMs <= bound);
      },
    ),
  );
});
