import assert from "node:assert/strict";
import { afterEach, beforeEach, suite, test, type TestContext } from "node:test";
import type { ReadTx, Store } from "../src/ports/store.ts";
import { fakeExecutor } from "../src/testing/fake-executor.ts";
import { checkedTemplate, fakeTarget, ill, well, type FakeTarget } from "./support/fake-target.ts";
import { createReplicas, leaseMs, type Replica, type Replicas } from "./support/replicas.ts";

let all: Replicas;
beforeEach(async () => {
  all = await createReplicas();
});
afterEach(() => all.close());

interface Follower extends Replica {
  readonly target: FakeTarget;
}

/** Replicas that each ask a target of their own, and environments whose checks they share. */
async function sharing(environments: number): Promise<{
  readonly replicas: readonly [Follower, Follower];
  readonly ids: readonly string[];
}> {
  const start = async (): Promise<Follower> => {
    const target = fakeTarget("consul");
    const deps = { checkers: [target.checker] };
    return { target, ...(await all.start(fakeExecutor(), {}, deps)) };
  };
  const replicas = [await start(), await start()] as const;
  const template = await all.world.template(checkedTemplate(replicas[0].target));
  const ids: string[] = [];
  for (let made = 0; made < environments; made += 1)
    ids.push((await all.world.create(template)).environmentId);
  await all.pass(10_000);
  return { replicas, ids };
}

const broken = (): Promise<never> => Promise.reject(new Error("the journal cannot be read"));

/** From now on events cannot be read, until the returned function is called. */
function breakJournal(t: TestContext): () => void {
  const { store } = all.world;
  const read: Store["read"] = store.read.bind(store);
  const mocked = t.mock.method(store, "read", <T>(fn: (tx: ReadTx) => Promise<T>) =>
    read((tx) => {
      t.mock.method(tx.events, "after", broken);
      return fn(tx);
    }),
  );
  return () => mocked.mock.restore();
}

const statuses = async (ids: readonly string[]): Promise<readonly string[]> =>
  Promise.all(ids.map(async (id) => (await all.world.environment(id)).status));

suite("workers that follow checks", () => {
  test("share the environments: each is followed by one of them", async () => {
    const { replicas, ids } = await sharing(12);
    const counts = replicas.map(({ target }) => target.followers.size);
    assert.equal((counts[0] ?? 0) + (counts[1] ?? 0), ids.length, String(counts));
    assert.ok(Math.min(...counts) > 0, String(counts));
  });

  test("take over from one that dies, once its lease has ended, and what it still says is not written", async () => {
    const { replicas, ids } = await sharing(12);
    const [dead, living] = replicas;
    dead.leases.cut(true);
    all.die(0);
    await all.pass(leaseMs + 10_000);
    assert.equal(living.target.followers.size, ids.length);
    living.target.is(ill);
    await all.pass(1_000);
    assert.deepEqual(new Set(await statuses(ids)), new Set(["deployed-failed"]));
    dead.target.is(well);
    await all.pass(1_000);
    assert.deepEqual(new Set(await statuses(ids)), new Set(["deployed-failed"]));
  });

  test("take over also when the journal could not be read as the lease ended", async (t) => {
    const { replicas, ids } = await sharing(12);
    const [dead, living] = replicas;
    const mended = breakJournal(t);
    dead.leases.cut(true);
    all.die(0);
    await all.pass(leaseMs + 10_000);
    assert.ok(living.target.followers.size < ids.length);
    mended();
    await all.pass(10_000);
    assert.equal(living.target.followers.size, ids.length);
  });

  test("take over at once from one that stops", async () => {
    const { replicas, ids } = await sharing(6);
    const [stopping, living] = replicas;
    const stopped = stopping.engine.stop();
    await all.pass(1_000);
    await stopped;
    assert.equal(stopping.target.followers.size, 0);
    assert.equal(living.target.followers.size, ids.length);
  });
});
