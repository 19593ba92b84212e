import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { consulKvExecutor } from "../../../src/adapters/executors/consul-kv/index.ts";
import { HttpConnection } from "../../../src/clients/http/connection.ts";
import { GlasshouseError } from "../../../src/domain/errors.ts";
import { TestGroup, type GroupCase } from "../../../src/testing/executor-group.ts";
import { consulClient, consulClientOver } from "../../support/consul-client.ts";
import { consulSkip } from "../../support/consul-program.ts";
import { Consul } from "../../support/consul.ts";
import { until } from "../../support/site.ts";

/** Two owners of one group, as after a worker that was believed dead comes back. */
describe("the fence of a group in Consul", { skip: consulSkip }, () => {
  let consul: Consul;
  let directory: string;
  before(async () => {
    consul = await Consul.start();
    directory = await mkdtemp(join(tmpdir(), "glasshouse-fence-"));
  });
  after(async () => {
    await consul.close();
    await rm(directory, { recursive: true, force: true });
  });

  /** An executor whose n-th transaction (the fence's is the first) waits until it is let go. */
  function gated(nth: number) {
    const connection = new HttpConnection({ url: consul.url(), name: "Consul", connections: 8 });
    const reached = Promise.withResolvers<void>();
    const open = Promise.withResolvers<void>();
    let transactions = 0;
    const client = consulClientOver(
      {
        send: async (request) => {
          if (request.path.startsWith("/v1/txn")) transactions += 1;
          if (request.path.startsWith("/v1/txn") && transactions === nth) {
            reached.resolve();
            await open.promise;
          }
          return connection.send(request);
        },
      },
      consul.token,
    );
    const executor = consulKvExecutor({ client, datacenter: null });
    return { executor, reached: reached.promise, letGo: open.resolve };
  }

  test("Consul refuses the rest of an owner that was overtaken in the middle", async () => {
    const prefix = "fence/middle/";
    const group = new TestGroup(join(directory, "middle"), wanting(prefix, 300, "old"));
    const old = gated(4);
    const late = old.executor.apply(group.context());
    await old.reached;
    // Two of its three transactions get through.
    await until(
      () => consul.keys(prefix),
      (keys) => Object.keys(keys).length === 254,
    );
    group.change(wanting(prefix, 100, "new"));
    await gated(0).executor.apply(group.context());
    old.letGo();
    await assert.rejects(late, { code: "stale-token" });
    const now = Object.values(await consul.keys(prefix));
    assert.equal(now.length, 100);
    assert.ok(now.every((value) => value === "new"));
  });

  test("an owner that was overtaken before it took the fence is stopped by the store", async () => {
    const prefix = "fence/before/";
    const group = new TestGroup(join(directory, "before"), wanting(prefix, 3, "old"));
    const late = group.context();
    let isOvertaken = false;
    const slow = consulKvExecutor({
      client: consulClientOver(
        new HttpConnection({ url: consul.url(), name: "Consul", connections: 8 }),
        consul.token,
      ),
      datacenter: null,
    });
    const applied = slow.apply({
      ...late,
      state: {
        ...late.state,
        // What the store says: the step is ours, until another has claimed it.
        saveProgress: async (copy) => {
          if (isOvertaken) throw new GlasshouseError("stale-token", "another has claimed it");
          await late.state.saveProgress(copy);
          isOvertaken = true;
          group.change(wanting(prefix, 2, "new"));
          await gated(0).executor.apply(group.context());
        },
      },
    });
    await assert.rejects(applied, { code: "stale-token" });
    assert.deepEqual(await consul.keys(prefix), {
      "fence/before/k0": "new",
      "fence/before/k1": "new",
    });
  });

  test("a key that somebody else writes just before it would be written is not overwritten, and nothing beside it is", async () => {
    const prefix = "fence/race/";
    const group = new TestGroup(join(directory, "race"), wanting(prefix, 2, "one"));
    const racing = async (act: () => Promise<void>) => {
      const { executor, reached, letGo } = gated(2);
      const applied = executor.apply(group.context());
      await reached;
      await act();
      letGo();
      await assert.rejects(applied, { code: "conflict", message: /just now: fence\/race\/k1/u });
      return consul.keys(prefix);
    };
    const made = await racing(() => consul.put(`${prefix}k1`, "theirs"));
    assert.deepEqual(made, { "fence/race/k1": "theirs" });
    await consul.remove(`${prefix}k1`);
    group.keep(await gated(0).executor.apply(group.context()));
    group.change(wanting(prefix, 2, "two"));
    const changed = await racing(() => consul.put(`${prefix}k1`, "theirs"));
    assert.deepEqual(changed, { "fence/race/k0": "one", "fence/race/k1": "theirs" });
    group.found("drifted");
    group.keep(await gated(0).executor.apply(group.context()));
    group.change(wanting(prefix, 1, "two"));
    const removed = await racing(() => consul.put(`${prefix}k1`, "theirs"));
    assert.deepEqual(removed, { "fence/race/k0": "two", "fence/race/k1": "theirs" });
  });

  test("keys that an attempt made before it was cut off are found again, also when the prefix has changed since", async () => {
    const group = new TestGroup(join(directory, "moved"), wanting("fence/here/", 300, "x"));
    const stop = new AbortController();
    const { executor, reached, letGo } = gated(4);
    const applied = executor.apply(group.context({ signal: stop.signal }));
    await reached;
    await until(
      () => consul.keys("fence/here/"),
      (keys) => Object.keys(keys).length === 254,
    );
    stop.abort();
    letGo();
    await assert.rejects(applied, GlasshouseError);
    group.change(wanting("fence/there/", 2, "x"));
    group.keep(await gated(0).executor.apply(group.context()));
    assert.deepEqual(await consul.keys("fence/here/"), {});
    assert.equal(Object.keys(await consul.keys("fence/there/")).length, 2);
    await gated(0).executor.destroy(group.context());
    assert.deepEqual(await consul.keys("fence/there/"), {});
  });

  test("keys that the token cannot see are not forgotten when they are not wanted any more", async () => {
    const group = new TestGroup(join(directory, "unseen"), wanting("unseen/here/", 2, "x"));
    group.keep(await gated(0).executor.apply(group.context()));
    const rules = ["glasshouse/", "unseen/there/"].map(
      (prefix) => `key_prefix "${prefix}" { policy = "write" }`,
    );
    const client = consulClient({
      url: consul.url(),
      token: await consul.newToken(rules.join("\n")),
    });
    const blind = consulKvExecutor({ client, datacenter: null });
    group.change(wanting("unseen/there/", 1, "x"));
    await assert.rejects(blind.apply(group.context()), {
      code: "provider-failed",
      message: /Permission denied/u,
    });
    assert.equal(Object.keys(await consul.keys("unseen/here/")).length, 2);
    group.keep(await gated(0).executor.apply(group.context()));
    assert.deepEqual(await consul.keys("unseen/"), { "unseen/there/k0": "x" });
  });

  test("an owner that comes back after the group was destroyed makes nothing", async () => {
    const prefix = "fence/gone/";
    const group = new TestGroup(join(directory, "gone"), wanting(prefix, 300, "x"));
    const old = gated(4);
    const late = old.executor.apply(group.context());
    await old.reached;
    const { executor } = gated(0);
    group.keep(await executor.apply(group.context()));
    await executor.destroy(group.context());
    old.letGo();
    await assert.rejects(late, { code: "stale-token" });
    assert.deepEqual(await consul.keys(prefix), {});
  });
});

function wanting(prefix: string, count: number, value: string): GroupCase {
  const names = Array.from({ length: count }, (_, at) => [`k${at}`, value] as const);
  return { settings: { prefix, keys: Object.fromEntries(names) }, files: {}, outputs: [] };
}
