import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { durationPattern, formatDuration, parseDuration } from "./duration.ts";

test("the usual forms are read", () => {
  const known: readonly (readonly [string, number])[] = [
    ["48h", 172_800_000],
    ["30d", 2_592_000_000],
    ["10s", 10_000],
    ["500ms", 500],
    ["5m", 300_000],
    ["1h30m", 5_400_000],
    ["1m500ms", 60_500],
    ["0s", 0],
  ];
  for (const [text, ms] of known) assert.equal(parseDuration(text), ms, text);
});

test("anything else is refused", () => {
  for (const text of [
    "",
    "5",
    "h",
    "1.5h",
    "-1h",
    " 1h",
    "1h ",
    "1w",
    "30m1h",
    "1H",
    "1h1h",
    "9".repeat(30) + "d",
    "1".repeat(100),
  ]) {
    assert.equal(parseDuration(text), null, text);
  }
});

test("what is formatted reads back as the same length", () => {
  fc.assert(
    fc.property(fc.nat({ max: Number.MAX_SAFE_INTEGER }), (ms) => {
      assert.equal(parseDuration(formatDuration(ms)), ms);
    }),
  );
});

test("the pattern for schemas takes exactly what is parsed", () => {
  const pattern = new RegExp(durationPattern, "u");
  const part = fc.constantFrom("1", "20", "d", "h", "m", "s", "ms", "");
  fc.assert(
    // With one part more the days could be too many to be counted in milliseconds, which no pattern sees.
    fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
      assert.equal(
        pattern.test(parts.join("")),
        parseDuration(parts.join("")) !== null,
        parts.join(""),
      );
    }),
    { numRuns: 2_000 },
  );
});

test("the short form is chosen", () => {
  assert.equal(formatDuration(90_000), "1m30s");
  assert.equal(formatDuration(172_800_000), "2d");
  assert.equal(formatDuration(0), "0s");
});
