import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { z } from "zod";
import { Site, until } from "../../support/site.ts";
import { sqliteOnly } from "../../support/which-store.ts";

const program = join(import.meta.dirname, "../../../bin/glasshouse");
const run = promisify(execFile);
const value = "canary-of-a-backup";

describe("backups and retention", () => {
  let site: Site;
  before(async () => {
    site = await Site.open();
    await site.register({
      name: "kept",
      more: {
        parameters: {
          key: { type: "string", secret: true },
          size: { type: "string", default: "1" },
        },
      },
      groups: {
        a: { value: "${{ parameters.size }}", more: {} },
        b: { value: "2", with: { inputs: { key: "${{ parameters.key }}" } } },
      },
    });
    await site.create("kept", "kept", { parameters: { key: value } });
  });
  after(() => site.close());

  const glasshouse = (...args: readonly string[]): Promise<unknown> =>
    run(program, [...args, "--data", site.data]);

  test(
    "a backup of a running server brings back the environments of its time, secrets and all",
    { skip: sqliteOnly },
    async () => {
      const copy = join(site.directory, "backup");
      await glasshouse("backup", copy);
      await site.create("later", "kept", { parameters: { key: value } });
      await site.destroy("later");
      const kept = await site.environment("kept");
      await site.server.stop();
      await assert.rejects(glasshouse("restore", copy), "a restore over living data");
      await rm(site.data, { recursive: true });
      await glasshouse("restore", copy);
      await site.start();
      assert.deepEqual(await site.environment("kept"), kept);
      assert.equal((await site.send("GET", "/environments/later")).status, 404);
      // The sealed parameter opens: its group is known to be unchanged, and the other one runs.
      const ledger = (await site.outside.ledger("kept")).length;
      const updated = await site.update("kept", { parameters: { size: "9", key: value } });
      assert.equal(updated.status, "succeeded", updated.reason ?? "");
      const acted = (await site.outside.ledger("kept")).slice(ledger);
      assert.deepEqual(acted, ["begin-update kept.a 9", "update kept.a 9"]);
      assert.equal((await site.destroy("kept")).status, "succeeded");
      assert.deepEqual(await site.outside.made("kept"), []);
    },
  );

  test("what is past its retention goes at the next start; what is needed stays", async () => {
    const short = await Site.open({
      env: {
        GLASSHOUSE_RETENTION_EVENTS: "1s",
        GLASSHOUSE_RETENTION_LOGS: "1s",
        GLASSHOUSE_RETENTION_COMMANDS: "1s",
      },
    });
    try {
      await short.register({ name: "old", groups: { a: "1" } });
      const created = await short.create("old", "old");
      assert.ok((await short.events("old")).length > 5);
      await pause(1_500);
      await short.server.stop();
      await short.start();
      await until(
        () => short.events("old"),
        // The newest stays, so that the journal's numbers go on where they were.
        (events) => events.length <= 1,
        20_000,
      );
      const info = z.object({ position: z.number(), oldestPosition: z.number() });
      const { position, oldestPosition } = info.parse(await short.get("/info"));
      assert.ok(oldestPosition > 1 && oldestPosition <= position + 1, `${oldestPosition}`);
      assert.equal((await short.run(created.id)).status, "succeeded");
      assert.equal((await short.update("old", {})).status, "succeeded");
      const { sequence } = await short.environment("old");
      const sequences = (await short.events("old")).map((event) => event.sequence);
      assert.equal(sequences.at(-1), sequence);
      assert.ok((sequences[0] ?? 0) > 5, "the numbers go on where they were");
      assert.equal((await short.destroy("old")).status, "succeeded");
    } finally {
      await short.close();
    }
  });
});
