import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { GlasshouseError } from "../domain/errors.ts";
import { parseJsonBody } from "./json-body.ts";

const parse = (text: string): unknown => parseJsonBody(new TextEncoder().encode(text));

function refusal(text: string): GlasshouseError {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof GlasshouseError) return error;
    throw error;
  }
  throw new Error(`${text.slice(0, 100)} was taken`);
}

suite("JSON bodies", () => {
  test("any JSON is read as JSON.parse reads it", () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        if (text.includes("__proto__")) return;
        assert.deepEqual(parse(text), JSON.parse(text));
      }),
    );
  });

  const faults: readonly (readonly [string, string])[] = [
    ['{"a":1,}', "1:8"],
    ['{\n  "a": 1\n  "b": 2\n}', "3:3"],
    ['{"a": [1, 2', "1:12"],
    ["{'a': 1}", "1:2"],
    ['{"a": tru}', "1:7"],
    ['{"a": "x\ny"}', "1:7"],
    ["[1,]", "1:4"],
    ["[1}", "1:3"],
    ["", "1:1"],
    ['{"a":1} x', "1:9"],
    ['{"a":1} {}', "1:9"],
    ['{"a" 1}', "1:6"],
    ["01", "1:2"],
  ];
  for (const [text, place] of faults) {
    test(`${JSON.stringify(text)} is refused at body:${place}`, () => {
      const error = refusal(text);
      assert.equal(error.code, "invalid-request");
      assert.equal(error.details[0]?.place, `body:${place}`);
    });
  }

  test("a fault is found in every text that JSON.parse refuses, and never past its end", () => {
    const mutated = fc
      .tuple(fc.json(), fc.nat(), fc.constantFrom(",", "}", "]", '"', "x", ":"))
      .map(([text, at, mark]) => {
        const place = at % (text.length + 1);
        return text.slice(0, place) + mark + text.slice(place);
      });
    fc.assert(
      fc.property(mutated, (text) => {
        try {
          JSON.parse(text);
          return;
        } catch {
          const [line = "0", column = "0"] = (refusal(text).details[0]?.place ?? "")
            .split(":")
            .slice(1);
          assert.ok(Number(line) >= 1 && Number(column) >= 1);
          assert.ok(Number(column) <= text.length + 1);
        }
      }),
    );
  });

  test("the message of a fault does not repeat the text, which may hold a secret", () => {
    const { message, details } = refusal('{"token": "hunter2" oops');
    assert.doesNotMatch(JSON.stringify([message, details]), /hunter2|oops/u);
  });

  test("64 levels are taken, 65 and 200,000 are refused", () => {
    assert.doesNotThrow(() => parse("[".repeat(64) + "]".repeat(64)));
    assert.match(refusal("[".repeat(65) + "]".repeat(65)).message, /deeper than 64/u);
    assert.match(refusal("[".repeat(200_000) + "]".repeat(200_000)).message, /deeper than 64/u);
  });

  test("a key __proto__ is refused wherever it is and however it is written", () => {
    const text = String.raw`{"a": [{"b/c": {"\u005f_proto__": {}}}]}`;
    assert.equal(refusal(text).details[0]?.pointer, "/a/0/b~1c/__proto__");
  });

  test("bytes that are not UTF-8 are refused", () => {
    assert.throws(() => parseJsonBody(Uint8Array.of(0x22, 0xff, 0x22)), {
      code: "invalid-request",
    });
  });
});
