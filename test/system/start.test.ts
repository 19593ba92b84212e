import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { TestServer, testDirectory } from "../support/server.ts";
import { Site } from "../support/site.ts";

const workersView = z.object({ items: z.array(z.object({ labels: z.array(z.string()) })) });

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

test("what is asked of a server as soon as it is ready finds it working", async () => {
  const env = { GLASSHOUSE_ENGINE_LABELS: "gpu" };
  const site = await Site.open({ env });
  try {
    const group = { with: { create: ["true"], observe: ["true"] } };
    const groups = { only: { ...group, more: { outputs: [], runsOn: ["gpu"] } } };
    await site.register({ name: "labelled", groups });
    await site.server.stop();
    await site.start();
    // Refused while no worker offers the label, and none does that has not joined yet.
    const [command, workers] = await Promise.all([
      site.ask("POST", "/environments", { body: { name: "early", template: "labelled" } }),
      site.get("/workers"),
    ]);
    const { items } = workersView.parse(workers);
    assert.deepEqual(
      items.map(({ labels }) => labels),
      [["gpu"]],
    );
    assert.equal((await site.settled(command)).status, "succeeded");
  } finally {
    await site.close();
  }
});

test("a server that is stopped as soon as it is ready ends well", async () => {
  const { path, remove } = await testDirectory();
  try {
    for (let at = 0; at < 3; at += 1) {
      const server = await TestServer.start({ data: join(path, "data") });
      await server.stop();
      assert.equal((await server.ended).code, 0, server.output);
    }
  } finally {
    await remove();
  }
});
