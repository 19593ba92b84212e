import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { stringify, type ToStringOptions } from "yaml";
import type { Json } from "../lib/json.ts";
import { readByLibrary } from "./document.ts";
import { readPlain } from "./plain-document.ts";

const root = join(import.meta.dirname, "..", "..");

describe("plain YAML", () => {
  it("is what programs write: JSON and block style, with the library's values", () => {
    const value = {
      name: "web",
      groups: {
        a: { list: ["x", "1.0.0", "", "a: b", "# no", 'say "hi"\n'], n: [1, -2, 0.5, null, true] },
      },
    };
    for (const text of [
      JSON.stringify(value),
      JSON.stringify(value, null, 2),
      stringify(value, { defaultStringType: "QUOTE_DOUBLE", lineWidth: 0 }),
      stringify(value, { indentSeq: false, defaultStringType: "QUOTE_DOUBLE", lineWidth: 0 }),
    ])
      assert.deepEqual(readPlain(text)?.value, value, text);
  });

  it("takes comments on lines of their own, lists at their key's column and items of several keys", () => {
    const text =
      "# head\na:\n# note\n- b: 1\n  c: x y\n-\n  - - deep\n  - [q, {r: s}]\n\nd:\ne: it's\n";
    const value = { a: [{ b: 1, c: "x y" }, [["deep"], ["q", { r: "s" }]]], d: null, e: "it's" };
    assert.deepEqual(readPlain(text)?.value, value);
    assert.deepEqual(libraryValue(text), value);
  });

  it("is not what needs the library, mistakes among it", () => {
    for (const text of [
      "",
      "a",
      "a: |\n  x\n",
      "a: &x 1\nb: *x\n",
      "a: !!str 1\n",
      "--- \na: 1\n",
      "a: 1\n---\nb: 1\n",
      "a: x # note\n",
      "a: x\n  y\n",
      "a: 1\na: 2\n",
      '{"a": 1, "a": 2}',
      "a: 0x1f\n",
      "a: 1e400\n",
      "a: 01\n",
      "a: 12345678901234567890\n",
      "a:\n\t- x\n",
      "a: - x\n",
      "a: b: c\n",
      "? a\n: b\n",
      "a: 'x\n",
      "a: [x\n",
      "{a: 1}}",
      "a: 1\r\nb: 2\r\n",
      "true: 1\n",
      "__proto__: 1\n",
      "1: a\n",
      "a:\n  b: 1\n c: 2\n",
      "- a\nb: 1\n",
      '{"a":1,}',
      "a: {b: 1}x\n",
      " a: 1\n",
      'a: "\\x41"\n',
    ])
      assert.equal(readPlain(text), null, JSON.stringify(text));
  });

  it("is not a string of many megabytes", () => {
    assert.equal(readPlain(`{"a": "${"x".repeat(12_000_000)}"}`), null);
    assert.equal(readPlain(`a: ${"x:".repeat(6_000_000)}x\n`), null);
  });

  it("is read as the library reads it: random values in many styles, whole and with one slip", () => {
    const random = randomOf(20_250_101);
    let plain = 0;
    for (let n = 0; n < 1_500; n += 1) {
      const text = stringify(randomMap(random, 0), randomStyle(random));
      for (const one of [text, slipped(text, random), slipped(text, random)])
        plain += compared(one);
    }
    assert.ok(plain > 1_000, `only ${plain} were plain`);
  });

  it("is read as the library reads it in every template of this project", () => {
    const files = globSync("templates/**/*.yaml", { cwd: root });
    assert.ok(files.length > 2);
    for (const file of files) compared(readFileSync(join(root, file), "utf8"));
  });
});

/** 1 when the text is plain. Then the library must read the same from it, without a complaint. */
function compared(text: string): number {
  const read = readPlain(text);
  if (read === null) return 0;
  assert.deepEqual(libraryValue(text), read.value, JSON.stringify(text));
  return 1;
}

function libraryValue(text: string): Json {
  const document = readByLibrary(text, "t.yaml");
  assert.ok("value" in document, `${JSON.stringify(text)}: ${JSON.stringify(document)}`);
  return document.value;
}

type Random = (below: number) => number;

/** Mulberry32: the same numbers from the same seed. */
function randomOf(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const words = [
  "web",
  "a b",
  "1.0.0",
  "30s",
  "-n",
  "--flag",
  "./run",
  "http://x.example.com:80/a?b=c",
  "yes",
  "null",
  "True",
  "12",
  "-3",
  "0.25",
  "1e3",
  "0x1f",
  "010",
  ".5",
  "+1",
  "",
  " lead",
  "trail ",
  "a: b",
  "a #b",
  "#c",
  "'q'",
  '"q"',
  "it's",
  "[x]",
  "{y}",
  "a, b",
  "${{ parameters.n }}",
  "- x",
  "-",
  "?",
  "? x",
  ":",
  "x:",
  "&a",
  "*a",
  "!t",
  "|",
  ">",
  "%d",
  "@x",
  "`y`",
  "~",
  "=",
  "<<",
  "a\tb",
  "two\nlines",
  "\\n",
  "ü",
  "\u2028",
  "\ufeff",
  "😀",
  "---",
  "...",
  "(a)",
  "a\\b",
  "12:30",
  "2025-01-01",
  ".inf",
  "key with space",
];

function randomMap(random: Random, depth: number): Json {
  const keys = Array.from({ length: random(5) }, () => pick(random, words) || "k");
  return Object.fromEntries(keys.map((key) => [key, randomValue(random, depth + 1)]));
}

function randomValue(random: Random, depth: number): Json {
  const kind = random(depth > 4 ? 5 : 9);
  if (kind < 3) return pick(random, words);
  if (kind === 3) return pick(random, [0, 1, -1, 12, 0.5, -2.25, 1e21, 1e-7, 123_456_789_012]);
  if (kind === 4) return pick(random, [null, true, false]);
  if (kind < 7) return randomMap(random, depth);
  return Array.from({ length: random(4) }, () => randomValue(random, depth + 1));
}

function randomStyle(random: Random): ToStringOptions {
  return {
    indent: pick(random, [1, 2, 4]),
    indentSeq: random(2) === 0,
    lineWidth: pick(random, [0, 20, 80]),
    defaultStringType: pick(random, ["PLAIN", "QUOTE_DOUBLE", "QUOTE_SINGLE"]),
    defaultKeyType: pick(random, ["PLAIN", "QUOTE_DOUBLE"]),
    collectionStyle: pick(random, ["any", "block", "flow"]),
    flowCollectionPadding: random(2) === 0,
  };
}

const slips = [
  " ",
  "\n",
  ":",
  "-",
  "#",
  '"',
  "'",
  "{",
  "}",
  "[",
  "]",
  ",",
  "x",
  "1",
  "\t",
  "  ",
  "- ",
  "\n\n",
  ": ",
  "?",
  "&",
  "|",
];

/** One character gone, one put in, or a piece said twice. */
function slipped(text: string, random: Random): string {
  const at = random(text.length + 1);
  const what = random(3);
  if (what === 0) return text.slice(0, at) + text.slice(at + 1);
  if (what === 1) return text.slice(0, at) + pick(random, slips) + text.slice(at);
  const end = at + random(12);
  return text.slice(0, end) + text.slice(at);
}

function pick<T>(random: Random, from: readonly T[]): T {
  const found = from[random(from.length)];
  assert.ok(found !== undefined);
  return found;
}
