import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { CrashSite } from "../support/crash.ts";

const program = join(import.meta.dirname, "..", "..", "bin", "glasshouse");
const call = promisify(execFile);

describe("a data directory", () => {
  test("is refused to a second server, which names the first, until that is killed", async () => {
    const site = await CrashSite.open({ groups: 1, width: 1 });
    try {
      const first = await site.start();
      const before = Date.now();
      await assert.rejects(site.start(), new RegExp(`in use by process ${first.pid}\\b`, "u"));
      assert.ok(Date.now() - before < 5_000);
      assert.equal((await first.settled(await site.create(first))).status, "succeeded");
      first.kill();
      await first.ended;
      const second = await site.start();
      const run = await site.create(second);
      assert.deepEqual(await site.complaints(second, run, "created"), []);
    } finally {
      await site.close();
    }
  });

  test("backed up under a running server is restored with all that was accepted by then", async () => {
    const site = await CrashSite.open({ groups: 4, width: 2 });
    try {
      const server = await site.start();
      assert.equal((await server.settled(await site.create(server))).status, "succeeded");
      const backup = join(site.directory, "backup");
      await call(program, ["backup", backup, "--data", site.data]);
      server.kill();
      await server.ended;
      await rename(site.data, `${site.data}.lost`);
      await call(program, ["restore", backup, "--data", site.data]);
      await rm(`${site.data}.lost`, { recursive: true });
      const restored = await site.start();
      const run = await site.create(restored);
      assert.deepEqual(await site.complaints(restored, run, "created"), []);
      const destroy = await site.send(restored, "environment.destroy");
      await restored.settled(destroy);
      assert.deepEqual(await site.complaints(restored, destroy, "destroyed"), []);
    } finally {
      await site.close();
    }
  });
});
