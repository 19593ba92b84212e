import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { randomText } from "./random-text.ts";

test("draws every letter about as often as the others", () => {
  const counts = new Map<string, number>();
  for (const letter of randomText(
    62_000,
    `${"abcdefghijklmnopqrstuvwxyz".repeat(2)}0123456789`,
    randomBytes,
  ))
    counts.set(letter, (counts.get(letter) ?? 0) + 1);
  assert.equal(counts.size, 36);
  for (const [letter, count] of counts) {
    const expected = /\d/u.test(letter) ? 1_000 : 2_000;
    assert.ok(Math.abs(count - expected) < expected / 4, `${letter}: ${count}`);
  }
});

test("has the length that was asked for and is never the same", () => {
  assert.equal(randomText(0, "ab", randomBytes), "");
  assert.match(randomText(7, "ab", randomBytes), /^[ab]{7}$/u);
  assert.notEqual(
    randomText(32, "0123456789abcdef", randomBytes),
    randomText(32, "0123456789abcdef", randomBytes),
  );
  assert.throws(() => randomText(1, "", randomBytes), RangeError);
});
