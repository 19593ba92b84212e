import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { compilePattern } from "./pattern.ts";

function matches(source: string, text: string): boolean {
  const pattern = compilePattern(source);
  assert.ok("test" in pattern, "message" in pattern ? `${source}: ${pattern.message}` : "");
  return pattern.test(text);
}

function messageOf(source: string): string {
  const pattern = compilePattern(source);
  return "message" in pattern ? pattern.message : "";
}

describe("bounded patterns", () => {
  test("they agree with JavaScript's own on every text", () => {
    const atom = fc.constantFrom(
      "a",
      "b",
      ".",
      "[ab]",
      "[^a]",
      "\\d",
      "\\.",
      "(?:ab)",
      "(a|b)",
      "^",
      "$",
      "(a|)",
      "é",
      "\\u0061",
      "[\\]a-]",
    );
    const count = fc.constantFrom("", "", "*", "+", "?", "{2}", "{1,2}", "{0,1}", "{1,}", "*?");
    const part = fc.tuple(atom, count).map(([a, c]) => (a === "^" || a === "$" ? a : a + c));
    const source = fc
      .array(fc.oneof(part, fc.constant("|")), { maxLength: 6 })
      .map((parts) => parts.join(""));
    const text = fc
      .array(fc.constantFrom("a", "b", "1", ".", "é", "]", "😀"), { maxLength: 8 })
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(source, text, (pattern, sample) => {
        assert.equal(
          matches(pattern, sample),
          new RegExp(pattern, "u").test(sample),
          `/${pattern}/ on ${sample}`,
        );
      }),
      { numRuns: 5_000 },
    );
  });

  test("groups nest and repeat", () => {
    assert.ok(matches("^(a(bc){2,3})+$", "abcbcabcbcbc"));
    assert.ok(!matches("^(a(bc){2,3})+$", "abcabc"));
    assert.ok(matches("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", "web-1"));
    assert.ok(matches("^\\p{Lu}+$", "ÄÖ"));
  });

  test("patterns that explode elsewhere cost no more than text times pattern", () => {
    for (const source of [
      "^(a+)+$",
      "^(a|a)*$",
      "^(a|aa)+$",
      "^a*a*a*a*a*a*b$",
      "(x+x+)+y",
      "^(.*)*$",
    ]) {
      assert.equal(typeof matches(source, `${"a".repeat(4_000)}!`), "boolean");
    }
  });

  test("what has no bound or cannot be read is refused with the reason", () => {
    assert.match(messageOf("(?=a)"), /look-around/u);
    assert.match(messageOf("(?<name>a)"), /named groups/u);
    assert.match(messageOf("(a)\\1"), /back-references/u);
    assert.match(messageOf("\\bword"), /word boundaries/u);
    assert.match(messageOf("("), /Unterminated group/u);
    assert.match(messageOf("((a{100}){100}){100}"), /more than 1000 states/u);
    assert.match(messageOf("a{100000}"), /more than 1000 states/u);
    assert.match(messageOf(`${"(".repeat(200)}a${")".repeat(200)}`), /50 groups/u);
    assert.match(messageOf("(".repeat(50_000) + ")".repeat(50_000)), /./u);
  });
});
