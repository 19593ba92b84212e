import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Site } from "../../support/site.ts";

describe("lifetimes", () => {
  let site: Site;
  before(async () => {
    site = await Site.open();
    await site.register({ name: "mayfly", groups: { a: "1" } });
    await site.register({
      name: "bounded",
      more: { lifetime: { default: "24h", maximum: "48h" } },
      groups: { a: "1" },
    });
  });
  after(() => site.close());

  test("an environment is destroyed by itself when its time has passed, and never before", async () => {
    await site.create("short", "mayfly", { ttl: "4s" });
    await site.create("long", "mayfly", { ttl: "1h" });
    await site.create("ever", "mayfly");
    const short = await site.environment("short");
    const planned = Date.parse(short.plannedDestructionAt ?? "");
    assert.equal(planned - Date.parse(short.createdAt), 4_000);
    while (Date.now() < planned - 200) {
      assert.equal((await site.environment("short")).status, "deployed-ok");
      await pause(200);
    }
    const gone = await site.environmentWhen(
      "short",
      ({ status }) => status === "destroyed",
      15_000,
    );
    assert.ok(Date.parse(gone.destroyedAt ?? "") >= planned);
    assert.deepEqual(await site.outside.made("short"), []);
    for (const name of ["long", "ever"])
      assert.equal((await site.environment(name)).status, "deployed-ok");
    assert.equal((await site.environment("ever")).plannedDestructionAt, null);
  });

  test("an update moves the end, without running anything", async () => {
    await site.create("moved", "mayfly", { ttl: "5s" });
    const ledger = await site.outside.ledger("moved");
    const command = await site.ask("PATCH", "/environments/moved", { body: { ttl: "1h" } });
    assert.equal(command.status, "completed");
    assert.equal(command.run, null);
    await pause(6_000);
    assert.equal((await site.environment("moved")).status, "deployed-ok");
    assert.deepEqual(await site.outside.ledger("moved"), ledger);
    await site.ask("PATCH", "/environments/moved", { body: { ttl: "1s" } });
    await site.environmentWhen("moved", ({ status }) => status === "destroyed", 15_000);
  });

  test("the template's default and maximum hold", async () => {
    await site.create("standard", "bounded");
    const { createdAt, plannedDestructionAt } = await site.environment("standard");
    assert.equal(Date.parse(plannedDestructionAt ?? "") - Date.parse(createdAt), 24 * 3_600_000);
    const refused = await site.refused("POST", "/environments", {
      body: { name: "greedy", template: "bounded", ttl: "49h" },
    });
    assert.equal(refused.status, 400);
    assert.match(refused.detail, /48h|2d/u);
    const never = await site.refused("PATCH", "/environments/standard", { body: { ttl: null } });
    assert.equal(never.status, 400, never.detail);
  });

  test("an end that passed while the server was down is acted on after the next start", async () => {
    await site.create("asleep", "mayfly", { ttl: "3s" });
    await site.server.stop();
    await pause(3_000);
    assert.deepEqual(await site.outside.made("asleep"), ["a"]);
    await site.start();
    await site.environmentWhen("asleep", ({ status }) => status === "destroyed", 15_000);
    assert.deepEqual(await site.outside.made("asleep"), []);
  });
});
