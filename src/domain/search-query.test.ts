import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { GlasshouseError } from "./errors.ts";
import { parseSearch, searchFields, searchLimits, type SearchNode } from "./search-query.ts";

const words = (text: string, more: { prefix?: boolean; inName?: boolean } = {}): SearchNode => ({
  kind: "words",
  words: text.split(" "),
  prefix: more.prefix ?? false,
  inName: more.inName ?? false,
});

function refusal(text: string): string {
  try {
    parseSearch(text);
  } catch (error) {
    if (error instanceof GlasshouseError && error.code === "invalid-request") return error.message;
    throw error;
  }
  throw new Error(`${text} was taken`);
}

suite("The language of search", () => {
  const readings: readonly (readonly [string, SearchNode])[] = [
    ["web", words("web")],
    ["Wéb*", words("web", { prefix: true })],
    ["aws_instance.web-1", words("aws instance web 1")],
    ['"exact  Phrase"', words("exact phrase")],
    ['"exact phr"*', words("exact phr", { prefix: true })],
    ["web shop", { kind: "all", of: [words("web"), words("shop")] }],
    ["web AND shop", { kind: "all", of: [words("web"), words("shop")] }],
    [
      "web OR shop -old",
      {
        kind: "any",
        of: [words("web"), { kind: "all", of: [words("shop"), { kind: "not", of: words("old") }] }],
      },
    ],
    [
      "(web OR shop) -old",
      {
        kind: "all",
        of: [
          { kind: "any", of: [words("web"), words("shop")] },
          { kind: "not", of: words("old") },
        ],
      },
    ],
    ["-(a b)", { kind: "not", of: { kind: "all", of: [words("a"), words("b")] } }],
    ["name:web-1*", words("web 1", { prefix: true, inName: true })],
    ["tag:team=Core", { kind: "key", field: "tag", value: "team=Core", prefix: false }],
    ['type:"a b"', { kind: "key", field: "type", value: "a b", prefix: false }],
    ["type:aws_*", { kind: "key", field: "type", value: "aws_", prefix: true }],
    ["status:drifted", { kind: "status", status: "drifted" }],
    ["kind:observed", { kind: "key", field: "kind", value: "observed", prefix: false }],
    ["ORDER ANDES", { kind: "all", of: [words("order"), words("andes")] }],
    ['"OR"', words("or")],
  ];
  for (const [text, node] of readings)
    test(`${text} is understood`, () => assert.deepEqual(parseSearch(text), node));

  const refusals: readonly (readonly [string, RegExp])[] = [
    ["  ", /is empty/u],
    ["web (", /position 6 .*missing/u],
    ["(web", /position 1 .*not closed/u],
    ["web)", /position 4 .*closes none/u],
    ['say "web', /position 5 .*quote is not closed/u],
    ["web OR", /position 7 .*missing/u],
    ["OR web", /position 1 .*missing/u],
    ["AND web", /position 5 .*AND needs/u],
    ["web AND", /position 8 .*AND needs/u],
    ["web -", /position 5 .*nothing follows/u],
    ["w*b", /position 2 .*end of a word/u],
    ["web *", /position 5 .*word to search for is missing/u],
    ["name:", /position 6 .*missing/u],
    ["tag: x", /position 5 .*needs a value.*tag:team/u],
    ["nmae:web", /position 1 .*did you mean name:/u],
    ["arn:aws:s3", /position 1 .*no field arn.*quotes/u],
    ["status:drifed", /position 8 .*did you mean drifted\?$/u],
    ["xyzzyxyzzy:a", /position 1 .*the fields are kind, .*\. To search/u],
    ["kind:resource*", /position 6 .*resource/u],
    ["kind:zzz", /position 6 .*possible are environment/u],
    ["a ".repeat(33), /position 65 .*more than 32/u],
    ["(".repeat(9), /position 9 .*more than 8/u],
    ["a".repeat(501), /501 characters.*500/u],
  ];
  for (const [text, message] of refusals)
    test(`${text.slice(0, 20)} is refused with its place`, () =>
      assert.match(refusal(text), message));

  test("whatever is written is understood or refused by name, and stays within its bounds", () => {
    const part = fc.constantFrom(
      "web",
      '"',
      "(",
      ")",
      "-",
      "OR",
      "AND",
      " ",
      "*",
      ":",
      "é",
      "_",
      "status:drifted",
      "x.y",
      ...searchFields.map((field) => `${field}:`),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 40 }), (parts) => {
        const text = parts.join("");
        try {
          const { terms, depth } = measure(parseSearch(text));
          assert.ok(terms >= 1 && terms <= searchLimits.terms);
          assert.ok(depth <= 2 * searchLimits.length);
        } catch (error) {
          assert.ok(error instanceof GlasshouseError, `${text}: ${String(error)}`);
          assert.equal(error.code, "invalid-request");
        }
      }),
      { numRuns: 500 },
    );
  });
});

function measure(node: SearchNode): { readonly terms: number; readonly depth: number } {
  if (node.kind === "not") {
    const { terms, depth } = measure(node.of);
    return { terms, depth: depth + 1 };
  }
  if (node.kind !== "all" && node.kind !== "any") return { terms: 1, depth: 0 };
  const parts = node.of.map((each) => measure(each));
  return {
    terms: parts.reduce((sum, { terms }) => sum + terms, 0),
    depth: 1 + Math.max(...parts.map(({ depth }) => depth)),
  };
}
