import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { getCommand } from "../src/services/command.ts";
import { createServiceWorld, plainYaml, shopYaml, type ServiceWorld } from "./support/services.ts";

const canary = `canary-${randomUUID()}`;

describe("the inbox", () => {
  let w: ServiceWorld;
  before(async () => {
    w = await createServiceWorld();
    await w.register(plainYaml());
    await w.register(shopYaml());
  });
  after(() => w.close());

  test("lets a hundred equal commands at once take effect once, and answers all with the same command", async () => {
    const id = randomUUID();
    const data = { template: "plain" };
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => w.send("environment.create", "hundred", data, { id })),
    );
    assert.equal(new Set(answers.map((command) => command.id)).size, 1);
    assert.equal((await w.queueOf("hundred")).length, 1);
    const { id: environmentId } = await w.named("hundred");
    const events = await w.store.read((tx) => tx.events.after(0, { environmentId, limit: 100 }));
    assert.deepEqual(
      events.map((event) => event.type),
      ["command.accepted", "environment.deploying", "run.queued"],
    );
    assert.deepEqual(
      events.map((event) => event.sequence),
      [1, 2, 3],
    );
  });

  test("refuses another body under the same id, also when only a secret differs", async () => {
    const id = randomUUID();
    const data = { template: "shop", parameters: { token: "first-secret" } };
    await w.send("environment.create", "reused", data, { id });
    const other = { template: "shop", parameters: { token: "other-secret" } };
    const { code, message } = await w.refused("environment.create", "reused", other, { id });
    assert.equal(code, "command-reused");
    assert.ok(!message.includes("secret"));
  });

  test("takes the same id from another source as another command", async () => {
    const id = randomUUID();
    const first = await w.send("environment.refresh", "hundred", {}, { id, source: "a" });
    const second = await w.send("environment.refresh", "hundred", {}, { id, source: "b" });
    assert.notEqual(first.id, second.id);
  });

  test("gives a refusal by state again, even when the state would allow it now", async () => {
    const id = randomUUID();
    const first = await w.refused("environment.update", "not-yet", {}, { id });
    assert.equal(first.code, "not-found");
    await w.send("environment.create", "not-yet", { template: "plain" });
    const again = await w.refused("environment.update", "not-yet", {}, { id });
    assert.equal(again.message, first.message);
    assert.equal((await w.send("environment.update", "not-yet")).status, "accepted");
  });

  test("keeps refused commands with their reason, without their parameters", async () => {
    const id = randomUUID();
    const parameters = { token: canary };
    await w.refused("environment.create", "unkept", { template: "nowhere", parameters }, { id });
    const kept = await w.store.read((tx) => tx.commands.bySource("test", id));
    assert.ok(kept !== null);
    assert.equal(kept.status, "refused");
    assert.equal(kept.failure?.code, "not-found");
    assert.deepEqual(kept.data, { template: "nowhere", parameters: { token: "(secret)" } });
  });

  test("does not keep refusals of senders that ask until it is possible", async () => {
    const id = randomUUID();
    const more = { id, keepRefusal: false };
    await w.refused("environment.destroy", "patient", {}, more);
    await w.send("environment.create", "patient", { template: "plain" });
    assert.equal((await w.send("environment.destroy", "patient", {}, more)).status, "accepted");
  });

  test("names what of the data is wrong by JSON pointers, and keeps nothing of it", async () => {
    const id = randomUUID();
    const data = { template: "plain", ttl: "soon", parameters: [], color: "red" };
    const { code, error } = await w.refused("environment.create", "wrong", data, { id });
    assert.equal(code, "invalid-request");
    assert.deepEqual(error.details.map((detail) => detail.pointer ?? "").toSorted(), [
      "/color",
      "/parameters",
      "/ttl",
    ]);
    assert.equal(await w.store.read((tx) => tx.commands.bySource("test", id)), null);
  });

  test("names the near type for one that does not exist, and refuses those of later versions", async () => {
    const wrong = await w.refused("environment.creat", "x");
    assert.equal(wrong.code, "invalid-request");
    assert.match(wrong.message, /environment\.create\?/u);
    const later = await w.refused("environment.extend", "x", { by: "2h" });
    assert.equal(later.code, "not-available");
  });

  test("refuses a command when the environment has moved on since its sender looked", async () => {
    await w.send("environment.create", "moving", { template: "plain" });
    const { sequence } = await w.named("moving");
    await w.send("environment.update", "moving", {}, { ifSequence: sequence });
    const { code } = await w.refused("environment.update", "moving", {}, { ifSequence: sequence });
    assert.equal(code, "precondition-failed");
  });

  test("refuses a command that comes after its deadline", async () => {
    const past = new Date(Date.now() - 1000).toISOString();
    const { code } = await w.refused("environment.refresh", "hundred", {}, { deadline: past });
    assert.equal(code, "conflict");
    const soon = new Date(Date.now() + 60_000).toISOString();
    await w.send("environment.refresh", "hundred", {}, { deadline: soon });
  });

  test("writes an audit entry for each command, taken or refused", async () => {
    const earlier = await w.store.read((tx) => tx.audits.list({ limit: 500, cursor: null }));
    await w.send("environment.refresh", "hundred", {}, { actor: "ada" });
    await w.refused("environment.refresh", "nobody", {}, { actor: "ada" });
    const now = await w.store.read((tx) => tx.audits.list({ limit: 500, cursor: null }));
    assert.equal(now.items.length, earlier.items.length + 2);
    const [refused, taken] = now.items;
    assert.deepEqual([taken?.action, taken?.actor], ["environment.refresh", "ada"]);
    assert.deepEqual(refused?.detail, { status: "refused", code: "not-found" });
  });

  test("says what to check for an unknown command id", async () => {
    await assert.rejects(getCommand(w.services, "cmd_unknown"), /no command cmd_unknown/u);
  });
});
