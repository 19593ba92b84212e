import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { failpoints, type Failpoint } from "../../src/engine/deps.ts";
import { crashAndGoOn } from "../support/crash.ts";
import { CrashTable } from "../support/crash-table.ts";
import { stateComplaints, terraformSkip, terraformTemplate } from "../support/crash-terraform.ts";

const full = process.env["CRASH_TESTS"] === "full";
const table = new CrashTable("boundary");
after(() => table.print());

/** Steps pass their boundaries many times: the second time others are under way. Runs and states pass theirs once. */
function pass(name: Failpoint): number {
  return name.startsWith("step.") ? 2 : 1;
}

const resources = 20;

describe("a server at a boundary", { concurrency: 2 }, () => {
  for (const name of failpoints) {
    for (const act of ["kill", "throw", "stall"] as const) {
      const ofState = name.startsWith("state.");
      const title = `${name} × ${act}: the run ends as it would have, nothing is made twice`;
      test(title, { skip: ofState && terraformSkip }, async () => {
        const more = ofState
          ? {
              archive: await terraformTemplate(resources),
              judge: (site: { readonly data: string }) => stateComplaints(site.data, resources),
            }
          : {};
        const crashAt = `${name}:${act}:${pass(name)}`;
        const outcome = await crashAndGoOn({ groups: 6, width: 2 }, crashAt, more);
        table.put(name, act, outcome);
        assert.ok(outcome.happened, `${name} was never reached`);
        assert.deepEqual(outcome.complaints, []);
      });
    }
  }
});

/** The short form takes every few: enough to meet each kind of write. */
const writesTaken = full ? { every: 1, most: Number.POSITIVE_INFINITY } : { every: 4, most: 7 };

describe("a server killed at its n-th store write", { concurrency: 2 }, () => {
  for (const place of ["commit", "commit-before"]) {
    const moment = place === "commit" ? "after" : "before";
    test(`${moment} the write, for every n: the run ends as it would have`, async (t) => {
      let writes = 0;
      for (let n = 1; writes < writesTaken.most; n += writesTaken.every) {
        const outcome = await crashAndGoOn({ groups: 4, width: 2 }, `${place}:kill:${n}`);
        assert.deepEqual(outcome.complaints, [], `n = ${n}`);
        if (!outcome.happened) break;
        writes += 1;
      }
      // At least the template, the worker, the command with its run, and for each of two layers its children and its
      // outcomes: steps that wait at the same time share a write.
      assert.ok(writes >= (full ? 7 : 3), `only ${writes} writes were interrupted`);
      table.put(`write, ${moment}`, "kill", { complaints: [], words: `${writes} writes` });
      t.diagnostic(`${writes} writes were interrupted`);
    });
  }
});
