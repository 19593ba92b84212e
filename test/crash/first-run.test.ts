import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { CrashSite } from "../support/crash.ts";

const listed = z.object({ items: z.array(z.object({ name: z.string() })) });

test("a server killed while it plans the first run with its command has taken in neither, and then takes both in once", async () => {
  const site = await CrashSite.open({ groups: 3, width: 1 });
  try {
    const first = await site.start("run.planned:kill");
    await assert.rejects(site.create(first));
    assert.equal((await first.ended).signal, "SIGKILL");
    const next = await site.start();
    const { items } = listed.parse(await next.request("GET", "/api/v1/environments"));
    // Had its run been planned from the queue, the environment would be there.
    assert.deepEqual(items, []);
    const run = await site.create(next);
    assert.equal((await next.settled(run)).status, "succeeded");
    assert.deepEqual(await site.complaints(next, run, "created"), []);
    await next.stop();
  } finally {
    await site.close();
  }
});
