import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { kvLimits, type KvOperation } from "../../../clients/consul/kv.ts";
import type { KvSettings } from "./settings.ts";
import { batches, refuseTooLarge } from "./transactions.ts";

function keys(count: number, bytes = 10): readonly KvOperation[] {
  return Array.from({ length: count }, (_, at) => ({
    verb: "cas" as const,
    key: `shop/e/${at}`,
    value: Buffer.alloc(bytes, "x").toString("base64"),
    flags: 2 ** 52 - 1,
    index: 4_000_000_000,
  }));
}

describe("operations in transactions", () => {
  test("are 127 in each when they are small: one is left for the fence", () => {
    for (const [count, expected] of [
      [0, 0],
      [1, 1],
      [127, 1],
      [128, 2],
      [1_000, 8],
      [10_000, 79],
    ] as const) {
      assert.equal(batches(keys(count)).length, expected);
      assert.deepEqual(batches(keys(count)).flat(), keys(count));
    }
  });

  test("are as many as half a mebibyte holds when they are large, as Consul counts it", () => {
    const all = batches(keys(300, 20_000));
    assert.ok(all.length > 10, String(all.length));
    for (const part of all) {
      const wire = part.map(({ verb, ...rest }) => ({ KV: { Verb: verb, ...rest } }));
      assert.ok(Buffer.byteLength(JSON.stringify(wire)) <= kvLimits.requestBytes);
    }
  });

  test("are refused by name when one alone does not fit", () => {
    refuseTooLarge(wanting(390_000, 390_000));
    assert.throws(() => refuseTooLarge(wanting(10, 400_000)), {
      code: "step-failed",
      message: /takes at most 512 KiB.*shop\/e\/k1\. Nothing was written/u,
    });
  });
});

/** Keys k0, k1, … with values of so many bytes. */
function wanting(...sizes: readonly number[]): KvSettings {
  return {
    place: { datacenter: null, prefix: "shop/e/" },
    keys: new Map(sizes.map((size, at) => [`k${at}`, "x".repeat(size)])),
  };
}
