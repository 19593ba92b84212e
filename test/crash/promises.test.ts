import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { CrashTable } from "../support/crash-table.ts";
import { experiments } from "../support/experiments.ts";

const table = new CrashTable("promise");
after(() => table.print());

describe("a promise", () => {
  for (const { promise, mechanism, run } of experiments) {
    test(`${promise}: it is kept by ${mechanism}, and broken without`, async () => {
      const withIt = await run(true);
      const without = await run(false);
      table.put(promise, "kept by", { complaints: [], words: mechanism });
      table.put(promise, "with it", { complaints: [], words: withIt ?? "kept" });
      table.put(promise, "without", {
        complaints: [],
        words: without ?? "KEPT: the test is blind",
      });
      assert.equal(withIt, null);
      assert.notEqual(without, null, "the promise is kept also without its mechanism");
    });
  }
});
