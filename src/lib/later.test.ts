import assert from "node:assert/strict";
import { test } from "node:test";
import { later } from "./later.ts";

test("A part is loaded by the first who asks for it, and once", async () => {
  let loads = 0;
  const part = later(async () => (loads += 1));
  assert.equal(loads, 0);
  assert.deepEqual(await Promise.all([part(), part()]), [1, 1]);
  assert.equal(await part(), 1);
});

test("A load that failed is tried again", async () => {
  let loads = 0;
  const part = later(async () => {
    loads += 1;
    if (loads === 1) throw new Error("the file is not there");
    return loads;
  });
  await assert.rejects(part(), /not there/u);
  assert.equal(await part(), 2);
});
