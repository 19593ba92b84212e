import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { arrayBytes } from "./array-bytes.ts";

describe("an array for PostgreSQL", () => {
  it("holds texts as they are, and what is not there", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom("", "NULL", "{", ",", `"`, "\\", "a\nb", "😀"),
      fc.json(),
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(text, fc.constant(null))), (elements) => {
        const { type, elements: read, hasNull } = readArray(arrayBytes("text", elements));
        assert.equal(type, 25);
        assert.equal(hasNull, elements.includes(null));
        assert.deepEqual(
          read.map((bytes) => bytes?.toString("utf8") ?? null),
          elements,
        );
      }),
    );
  });

  it("holds whole numbers in eight bytes", () => {
    const number = fc.maxSafeInteger();
    fc.assert(
      fc.property(fc.array(fc.oneof(number, fc.constant(null))), (elements) => {
        const { type, elements: read } = readArray(arrayBytes("bigint", elements));
        assert.equal(type, 20);
        assert.deepEqual(
          read.map((bytes) => (bytes === null ? null : Number(bytes.readBigInt64BE()))),
          elements,
        );
      }),
    );
  });

  it("holds truths in one byte", () => {
    const { type, elements } = readArray(arrayBytes("boolean", [true, false, null]));
    assert.equal(type, 16);
    assert.deepEqual(elements, [Buffer.from([1]), Buffer.from([0]), null]);
  });

  it("refuses what is not of its type, and turns it into nothing else", () => {
    assert.throws(() => arrayBytes("bigint", [1.5]), TypeError);
    assert.throws(() => arrayBytes("bigint", ["1"]), TypeError);
    assert.throws(() => arrayBytes("boolean", [1]), TypeError);
  });
});

/** As `array_recv` reads one with a single dimension. */
function readArray(bytes: Buffer): {
  readonly type: number;
  readonly hasNull: boolean;
  readonly elements: readonly (Buffer | null)[];
} {
  const [dimensions, flags, type, count, lowest] = [0, 4, 8, 12, 16].map((at) =>
    bytes.readInt32BE(at),
  );
  assert.deepEqual([dimensions, lowest], [1, 1]);
  const elements: (Buffer | null)[] = [];
  let at = 20;
  for (let left = count ?? 0; left > 0; left -= 1) {
    const size = bytes.readInt32BE(at);
    at += 4;
    elements.push(size < 0 ? null : bytes.subarray(at, at + size));
    at += Math.max(size, 0);
  }
  assert.equal(at, bytes.length);
  return { type: type ?? 0, hasNull: flags === 1, elements };
}
