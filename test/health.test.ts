import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { checkDefaults } from "../src/domain/check.ts";
import type { Environment } from "../src/domain/environment.ts";
import { recordHealth } from "../src/engine/record-health.ts";
import { fakeExecutor } from "../src/testing/fake-executor.ts";
import { checkedTemplate, fakeTarget, ill, well, type FakeTarget } from "./support/fake-target.ts";
import { createWorld, type World } from "./support/world.ts";

const worlds: World[] = [];
afterEach(async () => {
  for (const made of worlds.splice(0)) await made.close();
});

async function deployed(target: FakeTarget) {
  const world = await createWorld({
    executors: [fakeExecutor()],
    deps: { checkers: [target.checker] },
  });
  worlds.push(world);
  const made = await world.template(checkedTemplate(target));
  const run = await world.create(made);
  assert.equal((await world.ended(run.id)).status, "succeeded");
  const id = run.environmentId;
  const when = async (condition: (seen: Environment) => boolean): Promise<Environment> => {
    for (;;) {
      const changed = Promise.withResolvers<void>();
      const unwatch = world.store.watch("journal", changed.resolve);
      const seen = await world.environment(id);
      if (condition(seen)) return (unwatch(), seen);
      await changed.promise;
      unwatch();
    }
  };
  const types = async (): Promise<readonly string[]> => {
    const events = await world.store.read((tx) =>
      tx.events.after(0, { environmentId: id, limit: 1_000 }),
    );
    const last = events.findLastIndex(({ runId }) => runId !== null);
    return events.slice(last + 1).map(({ type }) => type);
  };
  return { world, id, when, types };
}

/** Until somebody follows it. */
async function followed(target: FakeTarget): Promise<void> {
  while (target.followers.size === 0)
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
}

describe("health after deployment", () => {
  test("what turns unhealthy makes resource and environment so with their events, and what recovers well again", async () => {
    const target = fakeTarget("consul");
    const { world, id, when, types } = await deployed(target);
    await followed(target);
    target.is(ill);
    const failed = await when(({ status }) => status === "deployed-failed");
    const reason = "group web: check web.server.home (shop): 0 of 1 instance passes";
    assert.deepEqual([failed.reason, failed.failure?.code], [reason, "unhealthy"]);
    assert.deepEqual(await types(), ["resource.unhealthy", "environment.failed"]);
    const [state] = await world.store.read((tx) => tx.checks.list(id));
    assert.deepEqual([state?.status, state?.detail], ["failing", ill.detail]);
    target.is(well);
    const ok = await when(({ status }) => status === "deployed-ok");
    assert.deepEqual([ok.reason, ok.failure], [null, null]);
    assert.deepEqual((await types()).slice(2), ["resource.healthy", "environment.ok"]);
  });

  test("what nobody can be asked about stays as it was, with the reason, and nothing fails for it", async () => {
    const target = fakeTarget("consul");
    const { world, id, when, types } = await deployed(target);
    await followed(target);
    target.isLost("Consul cannot be asked: connection refused");
    const ok = await when(({ reason }) => reason !== null);
    assert.equal(ok.status, "deployed-ok");
    assert.match(ok.reason ?? "", /as last seen: Consul cannot be asked: connection refused/u);
    const [state] = await world.store.read((tx) => tx.checks.list(id));
    assert.deepEqual([state?.status, state?.detail], ["passing", well.detail]);
    target.is(well);
    assert.equal((await when(({ reason }) => reason === null)).status, "deployed-ok");
    assert.deepEqual(await types(), ["environment.ok", "environment.ok"]);
  });

  test("what is looked at fails after so many failures in a row", async () => {
    const target = fakeTarget("tcp");
    const { when } = await deployed(target);
    while (target.looks() < 5)
      await new Promise((resolve) => {
        setTimeout(resolve, 10);
      });
    const before = target.looks();
    target.is(ill);
    const { reason } = await when(({ status }) => status === "deployed-failed");
    assert.ok(target.looks() - before >= checkDefaults.failures, "it did not wait for three");
    assert.match(reason ?? "", /web\.server\.home \(db\.example\.com:5432\)/u);
  });

  test("nobody follows what is being changed, and what is made again is followed again", async () => {
    const target = fakeTarget("consul");
    const { world, id, when } = await deployed(target);
    await followed(target);
    target.is(ill);
    await when(({ status }) => status === "deployed-failed");
    target.is(well);
    await when(({ status }) => status === "deployed-ok");
    const destroy = await world.queue(id, "destroy");
    await world.ended(destroy.id);
    while (target.followers.size > 0)
      await new Promise((resolve) => {
        setTimeout(resolve, 10);
      });
    target.is(ill);
    assert.equal((await world.environment(id)).status, "destroyed");
  });

  test("what was seen of an earlier form of the environment is not written", async () => {
    const target = fakeTarget("consul");
    const { world, id } = await deployed(target);
    await world.engine.stop();
    const { generation, status } = await world.environment(id);
    const state = {
      environmentId: id,
      key: "web.server.home",
      target: "shop",
      status: "failing",
      detail: ill.detail,
      checkedAt: null,
      lost: null,
    } as const;
    const write = (of: number): Promise<unknown> =>
      world.store.transact((tx) =>
        recordHealth(tx, {
          environmentId: id,
          generation: of,
          body: checkedTemplate(target),
          states: [state],
          now: new Date().toISOString(),
        }),
      );
    assert.equal(await write(generation - 1), null);
    assert.equal((await world.environment(id)).status, status);
    assert.notEqual(await write(generation), null);
    assert.equal((await world.environment(id)).status, "deployed-failed");
  });

  test("an engine that comes later takes up what another one left", async () => {
    const target = fakeTarget("consul");
    const { world, id, when } = await deployed(target);
    await followed(target);
    await world.engine.stop();
    assert.equal(target.followers.size, 0);
    target.is(ill);
    const { Engine } = await import("../src/engine/engine.ts");
    const next = new Engine(world.deps);
    await next.start();
    try {
      await when(({ status }) => status === "deployed-failed");
      assert.equal((await world.environment(id)).status, "deployed-failed");
    } finally {
      await next.stop();
    }
  });
});
