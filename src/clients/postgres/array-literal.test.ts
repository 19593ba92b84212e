import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { arrayLiteral } from "./array-literal.ts";

describe("an array for PostgreSQL", () => {
  it("is read as what it was, whatever its texts hold", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom(
        "",
        "NULL",
        "null",
        "{",
        "}",
        ",",
        " ",
        `"`,
        "\\",
        `\\"`,
        "a\nb",
        "\t",
        "\u2028",
        "😀",
      ),
      fc.json(),
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(text, fc.constant(null))), (cells) => {
        assert.deepEqual(read(arrayLiteral(cells)), cells);
      }),
    );
  });

  it("holds numbers, truths and bytes as PostgreSQL writes them", () => {
    assert.equal(
      arrayLiteral([1, -2, true, false, new Uint8Array([0, 255])]),
      String.raw`{1,-2,true,false,"\\x00ff"}`,
    );
  });
});

const inQuotes = /^"((?:[^"\\]|\\[^])*)"$/u;

/** As PostgreSQL reads it: in quotes a backslash takes the next character as it is. */
function read(literal: string): readonly (string | null)[] {
  const elements = literal.slice(1, -1).match(/"(?:[^"\\]|\\[^])*"|[^,"]+/gu) ?? [];
  return elements.map((element) => {
    if (element === "NULL") return null;
    const [, text] = inQuotes.exec(element) ?? [];
    assert.ok(text !== undefined, `${element} is not in quotes`);
    return text.replaceAll(/\\([^])/gu, "$1");
  });
}
