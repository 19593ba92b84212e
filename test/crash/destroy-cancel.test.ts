import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { CrashSite } from "../support/crash.ts";
import { chooseSeed, seeded } from "../support/crash-random.ts";
import { CrashTable } from "../support/crash-table.ts";
import type { TestServer } from "../support/server.ts";

const full = process.env["CRASH_TESTS"] === "full";
const seed = chooseSeed();
const random = seeded(seed);
const table = new CrashTable("kill during");
after(() => table.print());

const statusSchema = z.object({ status: z.string() });

async function statusOf(server: TestServer): Promise<string> {
  const found = await server.request("GET", "/api/v1/environments/judged");
  return statusSchema.parse(found).status;
}

async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `waited too long until ${what}`);
    await sleep(20);
  }
}

const boundaries = [
  "run.planned",
  "run.started",
  "step.claimed:kill:2",
  "step.prepared:kill:3",
  "step.childStored:kill:2",
  "step.acted:kill:2",
  "step.recording:kill:3",
  "step.recorded:kill:2",
  "run.ending",
];
/** Those after which a destroy has acted or may have. */
const shortBoundaries = ["step.childStored:kill:2", "step.acted:kill:2", "run.ending"];

describe("a server killed while it destroys", { concurrency: 2 }, () => {
  for (const boundary of full ? boundaries : shortBoundaries) {
    test(`at ${boundary}: every group is taken down once, and the environment is destroyed`, async () => {
      const site = await CrashSite.open({ groups: 6, width: 2 });
      try {
        const maker = await site.start();
        assert.equal((await maker.settled(await site.create(maker))).status, "succeeded");
        await maker.stop();
        const crashAt = boundary.includes(":") ? boundary : `${boundary}:kill:1`;
        const killed = await site.start(crashAt);
        await site.send(killed, "environment.destroy").catch(() => undefined);
        assert.equal((await killed.ended).signal, "SIGKILL");
        const server = await site.start();
        const run = await site.send(server, "environment.destroy");
        const settled = await server.settled(run);
        const complaints = await site.complaints(server, run, "destroyed");
        table.put(`a destroy at ${boundary}`, "outcome", { complaints, words: settled.status });
        assert.deepEqual(complaints, []);
        assert.equal(await statusOf(server), "destroyed");
      } finally {
        await site.close();
      }
    });
  }
});

describe(`a server killed while it cancels (CRASH_SEED=${seed})`, { concurrency: 2 }, () => {
  for (let round = 1; round <= (full ? 20 : 3); round += 1) {
    const title = `round ${round}: the run is cancelled after all, and retried it makes the rest once`;
    test(title, async () => {
      const site = await CrashSite.open({ groups: 8, width: 4, holdSeconds: 1 });
      try {
        const killed = await site.start();
        const run = await site.create(killed);
        await until(
          async () => (await killed.run(run)).status === "running",
          "the run has started",
        );
        await sleep(random() * 1_500);
        await site.send(killed, "run.cancel", { subject: run });
        await sleep(random() * 300);
        killed.kill();
        await killed.ended;
        const server = await site.start();
        assert.equal((await server.settled(run)).status, "cancelled");
        assert.equal(await statusOf(server), "deployed-failed");
        const doubled = [...(await site.ledger.created()).values()].filter((count) => count > 1);
        assert.deepEqual(doubled, []);
        await site.send(server, "run.retry", { subject: run });
        const settled = await server.settled(run);
        const complaints = await site.complaints(server, run, "created");
        table.put(`a cancel, round ${round}`, "outcome", { complaints, words: settled.status });
        assert.deepEqual(complaints, [], `seed ${seed}`);
      } finally {
        await site.close();
      }
    });
  }
});

describe("a run cancelled when its commands have acted and not yet ended", () => {
  for (const isKilled of [false, true]) {
    const title = isKilled ? "by a server that is killed then" : "by a server that lives on";
    test(`${title}: retried it makes nothing twice`, async () => {
      const site = await CrashSite.open({ groups: 5, width: 4, lingerSeconds: 3 });
      try {
        const first = await site.start();
        const run = await site.create(first);
        await until(async () => (await site.ledger.created()).size === 4, "all have acted");
        await site.send(first, "run.cancel", { subject: run });
        if (isKilled) first.kill();
        if (isKilled) await first.ended;
        const server = isKilled ? await site.start() : first;
        assert.equal((await server.settled(run)).status, "cancelled");
        await site.send(server, "run.retry", { subject: run });
        const settled = await server.settled(run);
        const complaints = await site.complaints(server, run, "created");
        table.put(`a cancel after acting, ${title}`, "outcome", {
          complaints,
          words: settled.status,
        });
        assert.deepEqual(complaints, []);
      } finally {
        await site.close();
      }
    });
  }
});

describe("a server killed while checks are awaited", () => {
  test("goes on with them, and the environment gets ok without anything being made again", async () => {
    const site = await CrashSite.open({ groups: 4, width: 2, checkSeconds: 4 });
    try {
      const killed = await site.start();
      const run = await site.create(killed);
      await until(
        async () => (await statusOf(killed)) === "deployed-validating",
        "checks are awaited",
      );
      await sleep(500);
      killed.kill();
      await killed.ended;
      const server = await site.start();
      assert.equal(await statusOf(server), "deployed-validating");
      const settled = await server.settled(run);
      const complaints = await site.complaints(server, run, "created");
      table.put("the wait for checks", "outcome", { complaints, words: settled.status });
      assert.deepEqual(complaints, []);
      assert.equal(await statusOf(server), "deployed-ok");
    } finally {
      await site.close();
    }
  });
});
