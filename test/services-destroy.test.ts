import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Environment } from "../src/domain/environment.ts";
import { fakeExecutor, untilInterrupted } from "../src/testing/fake-executor.ts";
import { chainYaml, createServiceWorld, plainYaml, type ServiceWorld } from "./support/services.ts";

describe("destroying an environment", () => {
  let w: ServiceWorld;
  before(async () => {
    w = await createServiceWorld();
    await w.register(plainYaml());
    await w.register(chainYaml());
  });
  after(() => w.close());

  const create = (name: string): Promise<unknown> =>
    w.send("environment.create", name, { template: "plain" });
  const createOn = (name: string, base: string): Promise<unknown> =>
    w.send("environment.create", name, { template: "chain", parameters: { base } });
  const statusOf = async (name: string): Promise<Environment["status"]> =>
    (await w.named(name)).status;

  test("ends what waits as superseded, with its commands", async () => {
    await create("waits");
    const update = await w.send("environment.update", "waits", { parameters: { size: 2 } });
    const action = await w.send("environment.validate", "waits");
    const destroy = await w.send("environment.destroy", "waits");
    assert.deepEqual(
      (await w.queueOf("waits")).map((run) => run.id),
      [destroy.runId],
    );
    for (const command of [update, action]) {
      assert.equal((await w.run(command.runId)).status, "superseded");
      const ended = await w.store.read((tx) => tx.commands.get(command.id));
      assert.deepEqual([ended?.status, ended?.failure?.code], ["superseded", "superseded"]);
    }
    assert.equal(await statusOf("waits"), "destroying");
  });

  test("joins a destroy that is queued already", async () => {
    await create("twice");
    const first = await w.send("environment.destroy", "twice");
    const second = await w.send("environment.destroy", "twice");
    assert.equal(second.runId, first.runId);
    assert.equal((await w.queueOf("twice")).length, 1);
  });

  test("refuses changes until the destroy is cancelled", async () => {
    await create("undone");
    const { runId } = await w.send("environment.destroy", "undone");
    for (const type of ["environment.update", "environment.plan", "environment.validate"])
      assert.equal((await w.refused(type, "undone")).code, "conflict");
    await w.send("run.cancel", runId);
    assert.equal(await statusOf("undone"), "deployed-failed");
    assert.equal((await w.send("environment.update", "undone")).status, "accepted");
    assert.equal(await statusOf("undone"), "deploying");
  });

  test("leaves nothing but the destroy, however updates and destroys race", async () => {
    for (let round = 0; round < 20; round += 1) {
      const name = `race-${round}`;
      await create(name);
      const sent = await Promise.allSettled([
        w.send("environment.update", name, { parameters: { size: 2 } }),
        w.send("environment.destroy", name),
        w.send("environment.update", name, { parameters: { size: 3 } }),
      ]);
      assert.equal(sent[1].status, "fulfilled");
      assert.deepEqual(
        (await w.queueOf(name)).map((run) => run.kind),
        ["destroy"],
      );
      assert.equal(await statusOf(name), "destroying");
    }
  });

  test("is refused with the list while living environments require it", async () => {
    await create("base");
    await createOn("user-a", "base");
    await createOn("user-b", "base");
    const { code, message, error } = await w.refused("environment.destroy", "base");
    assert.equal(code, "in-use");
    assert.match(message, /user-a, user-b/u);
    assert.equal(error.details.length, 2);
  });

  test("with cascade takes down what requires it, at any distance", async () => {
    await create("root");
    await createOn("middle", "root");
    await createOn("leaf", "middle");
    const { runId } = await w.send("environment.destroy", "root", { cascade: true });
    for (const name of ["root", "middle", "leaf"]) {
      assert.equal(await statusOf(name), "destroying");
      assert.deepEqual(
        (await w.queueOf(name)).map((run) => run.kind),
        ["destroy"],
      );
    }
    assert.equal((await w.queueOf("root"))[0]?.id, runId);
  });

  test("does not make a newcomer and what is being destroyed wait for each other", async () => {
    await create("leaving");
    await w.send("environment.destroy", "leaving");
    await createOn("newcomer", "leaving");
    assert.deepEqual((await w.named("newcomer")).requires, []);
  });

  test("bounds how much one cascade takes down", async () => {
    const small = await createServiceWorld({ limits: { cascade: 1 } });
    await small.register(plainYaml());
    await small.register(chainYaml());
    await small.send("environment.create", "base", { template: "plain" });
    for (const name of ["a", "b"])
      await small.send("environment.create", name, {
        template: "chain",
        parameters: { base: "base" },
      });
    const { code } = await small.refused("environment.destroy", "base", { cascade: true });
    assert.equal(code, "too-many");
    assert.equal((await small.named("a")).status, "deploying");
    await small.close();
  });
});

describe("destroying while the engine works", () => {
  let w: ServiceWorld;
  before(async () => {
    w = await createServiceWorld({
      executors: [fakeExecutor({ act: untilInterrupted })],
      start: true,
    });
    await w.register(plainYaml());
    await w.register(chainYaml());
  });
  after(() => w.close());

  test("waits for the run that is under way, unless it is to be now", async () => {
    const created = await w.send("environment.create", "busy", { template: "plain" });
    await w.until(created.runId ?? "", (run) => run.status === "running");
    const destroy = await w.send("environment.destroy", "busy");
    assert.equal((await w.run(destroy.runId)).status, "queued");
    const again = await w.send("environment.destroy", "busy", { now: true });
    assert.equal(again.runId, destroy.runId);
    assert.equal((await w.ended(created.runId ?? "")).status, "cancelled");
    assert.equal((await w.ended(destroy.runId ?? "")).status, "succeeded");
    const gone = await w.named("busy");
    assert.equal(gone.status, "destroyed");
    const { code } = await w.refused("environment.destroy", "busy");
    assert.equal(code, "conflict");
    await w.send("environment.create", "busy", { template: "plain" });
    assert.notEqual((await w.named("busy")).id, gone.id);
  });
});
