import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ExecutorContext, Observation } from "../../../ports/executor.ts";
import { RecentLooks } from "./recent-looks.ts";

const place = { datacenter: null, prefix: "shop/" };
const names = ["shop/a", "shop/b<&>ü"];
const observation: Observation = { drift: "none", changes: [], observed: [], outputs: null };

function group(
  appliedAt = "1",
  owner = "glasshouse/env_1/a",
): Pick<ExecutorContext, "owner" | "previous"> {
  const applied = { settings: {}, outputs: {}, memory: null, drift: "none" } as const;
  return { owner, previous: { ...applied, appliedAt } };
}

/** As Consul writes it: what HTML could take for its own is escaped. */
const written = (index: number, of = names) => ({
  index,
  names: Buffer.from(JSON.stringify(of).replaceAll("<", "\\u003c").replaceAll("&", "\\u0026")),
});

function kept(): RecentLooks {
  const looks = new RecentLooks();
  looks.keep(group(), { place, index: 7, names, observation });
  return looks;
}

describe("a look that found all as it should be", () => {
  test("holds while Consul's index and the names below the prefix are what they were, however often it is asked", () => {
    const looks = kept();
    assert.deepEqual(looks.placeOf(group()), place);
    for (let times = 0; times < 3; times += 1)
      assert.equal(looks.same(group(), written(7)), observation);
  });

  test("does not hold after a write, nor after a removal that Consul has forgotten the time of", () => {
    const looks = kept();
    assert.equal(looks.same(group(), written(8)), null);
    assert.equal(looks.same(group(), written(7, names.slice(1))), null);
    assert.equal(looks.same(group(), written(7)), observation);
    assert.equal(looks.same(group(), written(7, names.slice(1))), null);
  });

  test("says nothing of the group once it was applied again, of others, and of one that was never applied", () => {
    const looks = kept();
    assert.equal(looks.placeOf(group("2")), null);
    assert.equal(looks.placeOf(group("1", "glasshouse/env_2/a")), null);
    assert.equal(looks.placeOf({ ...group(), previous: null }), null);
    looks.forget(group());
    assert.equal(looks.placeOf(group()), null);
  });

  test("is forgotten for newer ones when there are too many names, those that were used longest ago first", () => {
    const looks = new RecentLooks();
    const many = Array.from({ length: 40_000 }, (_, at) => `shop/${at}`);
    for (const owner of ["a", "b"])
      looks.keep(group("1", owner), { place, index: 7, names: many, observation });
    assert.equal(looks.same(group("1", "a"), written(7, many)), observation);
    looks.keep(group("1", "c"), { place, index: 7, names: many, observation });
    const known = ["a", "b", "c"].filter((owner) => looks.placeOf(group("1", owner)) !== null);
    assert.deepEqual(known, ["a", "c"]);
    looks.keep(group("1", "d"), {
      place,
      index: 7,
      names: [...many, ...many, ...many],
      observation,
    });
    assert.equal(looks.placeOf(group("1", "d")), null);
  });
});
