import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { failpoints } from "../../src/engine/deps.ts";
import { crashAndGoOn } from "../support/crash.ts";

/** Boundaries of Terraform's state are crossed by its own crash test; commands have no state. */
const reached = failpoints.filter((name) => !name.startsWith("state."));

describe("a server stopped at a boundary", () => {
  for (const name of reached) {
    for (const act of ["kill", "throw", "stall"] as const) {
      test(`${name} × ${act}: the run ends as it would have, nothing is created twice`, async () => {
        const outcome = await crashAndGoOn({
          groups: 6,
          width: 2,
          crashAt: `${name}:${act}:2`,
          env: {},
        });
        assert.equal(outcome.run.status, "succeeded");
        assert.deepEqual(outcome.doubled, []);
        assert.deepEqual(outcome.missing, []);
        assert.deepEqual(outcome.leftOver, []);
      });
    }
  }
});

describe("a server killed around its n-th store write", () => {
  const most = process.env["CRASH_TESTS"] === "full" ? Number.POSITIVE_INFINITY : 12;
  for (const place of ["commit", "commit-before"]) {
    test(`${place}: for every n the run ends as it would have`, async (t) => {
      // The commits of a start without crash are many; a short run takes every few, the full one each.
      for (
        let n = 1, done = 0;
        done < most;
        n += most === Number.POSITIVE_INFINITY ? 1 : 3, done += 1
      ) {
        const outcome = await crashAndGoOn({
          groups: 4,
          width: 2,
          crashAt: `${place}:kill:${n}`,
          env: {},
        });
        assert.equal(outcome.run.status, "succeeded", `n = ${n}`);
        assert.deepEqual(
          [outcome.doubled, outcome.missing, outcome.leftOver],
          [[], [], []],
          `n = ${n}`,
        );
        if (!outcome.crashed) {
          t.diagnostic(`${place}: ${n - 1} writes until nothing was left to interrupt`);
          break;
        }
      }
    });
  }
});
