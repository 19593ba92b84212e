import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { timeOf } from "./certificate-facts.ts";

const dayMs = 86_400_000;

function at(lastsMs: number, afterMs: number): string {
  const beginsAtMs = Date.UTC(2030, 0, 1);
  const facts = { serial: "1", names: "a", beginsAtMs, endsAtMs: beginsAtMs + lastsMs };
  return timeOf(facts, beginsAtMs + afterMs);
}

describe("a certificate", () => {
  test("is good from its first moment to the one at which it is over", () => {
    assert.equal(at(dayMs, -1), "early");
    assert.equal(at(dayMs, 0), "good");
    assert.equal(at(dayMs, dayMs - 1), "late");
    assert.equal(at(dayMs, dayMs), "over");
  });

  test("is late with a quarter of its time left, after what renews at two thirds has had its time", () => {
    assert.equal(at(dayMs, dayMs * 0.7), "good");
    assert.equal(at(dayMs, dayMs * 0.76), "late");
  });

  test("is late with two weeks left, however long it lasts", () => {
    assert.equal(at(365 * dayMs, 350 * dayMs), "good");
    assert.equal(at(365 * dayMs, 352 * dayMs), "late");
  });
});
