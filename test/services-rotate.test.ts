import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { EngineDeps } from "../src/engine/deps.ts";
import { Engine } from "../src/engine/engine.ts";
import { createServiceWorld, type ServiceWorld } from "./support/services.ts";

const yaml = `apiVersion: glasshouse/v1
kind: Template
name: shop
version: 1.0.0
secrets:
  one: {}
  two: { rotate: 1h }
groups:
  web: { executor: command, with: { a: "\${{ secrets.one }}", b: "\${{ secrets.two }}" } }
`;

describe("rotating secrets", () => {
  let w: ServiceWorld;
  let engine: Engine;
  const requests: Parameters<EngineDeps["requestRotation"]>[0][] = [];
  before(async () => {
    w = await createServiceWorld();
    await w.register(yaml);
    engine = new Engine({ ...w.deps, requestRotation: async () => undefined });
  });
  after(async () => {
    await engine.stop();
    await w.close();
  });

  async function owned(name: string) {
    const { id } = await w.named(name);
    return w.store.read((tx) => tx.ownedSecrets.ofEnvironment(id));
  }

  test("wishes merge while they wait, and each later one is a wish of its own", async () => {
    const created = await w.send("environment.create", "e", { template: "shop" });
    const early = await w.send("environment.rotate", "e", { secrets: ["one"] });
    assert.equal(early.runId, created.runId);
    await engine.start();
    assert.equal((await w.ended(created.runId ?? "")).status, "succeeded");
    assert.deepEqual(
      (await owned("e")).map(({ version, rotation }) => [version, rotation]),
      [
        [1, 1],
        [1, 0],
      ],
    );
    const again = await w.send("environment.rotate", "e", {});
    assert.equal((await w.ended(again.runId ?? "")).status, "succeeded");
    assert.deepEqual(
      (await owned("e")).map(({ version, rotation }) => [version, rotation]),
      [
        [2, 2],
        [2, 1],
      ],
    );
  });

  test("an update keeps what was wished, and makes nothing anew", async () => {
    const present = await owned("e");
    const update = await w.send("environment.update", "e", {});
    assert.equal((await w.ended(update.runId ?? "")).status, "succeeded");
    assert.deepEqual(await owned("e"), present);
    assert.deepEqual((await w.named("e")).desired.templates[0]?.rotations, { one: 2, two: 1 });
  });

  test("the same command takes effect once", async () => {
    const more = { id: "rotate-once" };
    const first = await w.send("environment.rotate", "e", { secrets: ["two"] }, more);
    assert.equal((await w.ended(first.runId ?? "")).status, "succeeded");
    const repeated = await w.send("environment.rotate", "e", { secrets: ["two"] }, more);
    assert.equal(repeated.id, first.id);
    assert.deepEqual(
      (await owned("e")).map(({ version }) => version),
      [2, 3],
    );
  });

  test("makes a saved plan stale that was made before", async () => {
    const plan = await w.send("environment.plan", "e", {});
    assert.equal((await w.ended(plan.runId ?? "")).status, "succeeded");
    const rotate = await w.send("environment.rotate", "e", { secrets: ["one"] });
    assert.equal((await w.ended(rotate.runId ?? "")).status, "succeeded");
    const apply = await w.send("environment.apply", "e", { plan: plan.planId }).then(
      async (command) => (await w.ended(command.runId ?? "")).failure?.code,
      (error: unknown) => (error instanceof Error && "code" in error ? error.code : error),
    );
    assert.equal(apply, "plan-stale");
  });

  test("is asked for when a version is older than its template wants, once a day", async () => {
    const { id } = await w.named("e");
    const [, two] = await owned("e");
    assert.ok(two?.rotateAt !== null && two !== undefined);
    const past = { ...two, rotateAt: "2020-01-01T00:00:00.000Z" };
    await w.store.transact((tx) => tx.ownedSecrets.put(past));
    requests.length = 0;
    for (let n = 0; n < 2; n += 1) {
      const other = new Engine({
        ...w.deps,
        requestRotation: async (request) => void requests.push(request),
      });
      await other.tick();
    }
    assert.deepEqual(
      requests.map(({ environmentId, secret }) => [environmentId, secret]),
      [
        [id, "two"],
        [id, "two"],
      ],
    );
    assert.equal(requests[0]?.key, requests[1]?.key);
    assert.match(requests[0]?.key ?? "", /:shop\/two:3:\d{4}-\d\d-\d\d$/u);
  });
});
