import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { sharerOf } from "./check-share.ts";

const plain = ["wrk_a", "wrk_b", "wrk_c"].map((id) => ({ id, labels: [] }));
const environments = Array.from({ length: 3_000 }, (_, at) => `env_0000000${at}`);

function owners(sharers: readonly { readonly id: string; readonly labels: readonly string[] }[]) {
  return environments.map((environmentId) => sharerOf(sharers, { environmentId, runsOn: [] }));
}

describe("who follows an environment's checks", () => {
  test("is one of the workers, whatever order they are in, and all get about as many", () => {
    const shares = owners(plain);
    assert.deepEqual(shares, owners(plain.toReversed()));
    for (const { id } of plain) {
      const count = shares.filter((owner) => owner === id).length;
      assert.ok(count > 800 && count < 1_200, `${id} has ${count}`);
    }
  });

  test("stays the same for all that a worker that goes did not follow", () => {
    const before = owners(plain);
    const after = owners(plain.slice(1));
    for (const [at, owner] of before.entries())
      if (owner !== "wrk_a") assert.equal(after[at], owner);
    assert.ok(!after.includes("wrk_a"));
  });

  test("offers the labels that the check asks for; nobody does when none does", () => {
    const sharers = [...plain, { id: "wrk_d", labels: ["eu", "gpu"] }];
    for (const environmentId of environments.slice(0, 50)) {
      assert.equal(sharerOf(sharers, { environmentId, runsOn: ["gpu"] }), "wrk_d");
      assert.equal(sharerOf(sharers, { environmentId, runsOn: ["gpu", "us"] }), null);
    }
  });
});
