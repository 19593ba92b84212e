import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { TestServer, testDirectory } from "../support/server.ts";

const hook = pathToFileURL(join(import.meta.dirname, "..", "support", "loaded.ts")).href;

test("a second start on the same data reads neither the query builder nor what only commands need", async () => {
  const { path, remove } = await testDirectory();
  try {
    const data = join(path, "data");
    await (await TestServer.start({ data })).stop();
    const server = await TestServer.start({ data, env: { NODE_OPTIONS: `--import=${hook}` } });
    // What the first look of an idle server needs counts too; half a second later the rest is loaded on purpose.
    await sleep(500);
    const { output } = server;
    await server.stop();
    const loaded = [...output.matchAll(/^loads (.*)$/gmu)].map(([, name]) => name);
    assert.ok(loaded.includes("fastify"), output);
    for (const late of ["kysely", "yaml", "pg", "rabbitmq-client"])
      assert.ok(!loaded.includes(late), `${late} is loaded by a server that has nothing to do yet`);
  } finally {
    await remove();
  }
});
