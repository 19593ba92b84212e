import assert from "node:assert/strict";
import { afterEach, beforeEach, suite, test } from "node:test";
import { GlasshouseError } from "../src/domain/errors.ts";
import type { ChildIdentity } from "../src/domain/step.ts";
import type { Failpoint } from "../src/engine/deps.ts";
import type { IdKind } from "../src/domain/id.ts";
import { timestamp } from "../src/ports/clock.ts";
import type { ExecutorContext } from "../src/ports/executor.ts";
import { outlivesLeaseMs, takeoverMarginMs } from "../src/domain/lease.ts";
import { fakeExecutor, untilInterrupted } from "../src/testing/fake-executor.ts";
import { FakeLeases } from "../src/testing/fake-leases.ts";
import { FakeMetrics } from "../src/testing/fake-metrics.ts";
import { sampleGroup, sampleTemplate } from "../src/testing/samples.ts";
import { createReplicas, leased, leaseMs, type Replicas } from "./support/replicas.ts";

const dayMs = 86_400_000;
const late = "A late write was refused: the step has another owner now";

let all: Replicas;
beforeEach(async () => {
  all = await createReplicas();
});
afterEach(() => all.close());

suite("a worker whose lease is not renewed", () => {
  test("while it starts goes on starting, and works when it is renewed", async () => {
    const idle = await all.start(fakeExecutor());
    idle.leases.cut(true);
    await all.pass((leaseMs * 2) / 3);
    const { clock, world } = all;
    const leases = new FakeLeases({ store: world.store, clock, durationMs: leaseMs });
    const lease: FakeLeases["lease"] = (worker) =>
      leases.lease(worker).finally(() => leases.cut(true));
    let isSlow = true;
    // Looking at the other one's process takes longer than it is trusted.
    const isProvenGone = async (): Promise<boolean> => {
      if (isSlow) clock.advance((leaseMs * 2) / 3);
      return (isSlow = false);
    };
    const deps = { processes: { ...world.deps.processes, isProvenGone } };
    const executor = fakeExecutor();
    await all.start(executor, {}, { ...deps, store: leased(world.store, { lease }) });
    const run = await begin();
    await all.pass(1_000);
    assert.deepEqual(executor.ledger, []);
    leases.cut(false);
    await all.pass(leaseMs / 2);
    assert.equal(await statusOf(run), "succeeded");
  });

  test("claims nothing from two thirds of its lease on, and goes on when it is renewed", async () => {
    const executor = fakeExecutor();
    const one = await all.start(executor);
    one.leases.cut(true);
    await all.pass((leaseMs * 2) / 3);
    const run = await begin();
    await all.pass(9_000);
    assert.deepEqual(executor.ledger, []);
    one.leases.cut(false);
    await all.pass(leaseMs / 2);
    assert.equal(await statusOf(run), "succeeded");
  });

  test("holds an outcome and records it once it is renewed, when nobody took the step", async () => {
    const held = gate();
    const executor = fakeExecutor({ act: () => held.opened });
    const one = await all.start(executor);
    const run = await begin();
    await all.pass(1_000);
    one.leases.cut(true);
    await all.pass(25_000);
    held.open();
    await all.pass(2_000);
    assert.equal((await onlyStep(run)).status, "running");
    one.leases.cut(false);
    await all.pass(5_000);
    assert.deepEqual([(await onlyStep(run)).status, (await onlyStep(run)).token], ["succeeded", 1]);
  });

  test("is interrupted at its end, and what was cut off is looked at, not counted as failed", async () => {
    const executor = fakeExecutor({
      act: async (ctx) => {
        await ctx.childStarted(aChild(600_000).child);
        // Its program was stopped by its warden, so to the executor it looks as if it had failed.
        if (ctx.token === 1) await untilInterrupted(ctx).catch(fail);
      },
    });
    const one = await all.start(executor);
    const two = await all.start(fakeExecutor());
    await two.engine.stop();
    const run = await begin();
    await all.pass(1_000);
    one.leases.cut(true);
    await all.pass(leaseMs + 10_000);
    one.leases.cut(false);
    await all.pass(15_000);
    const step = await onlyStep(run);
    assert.deepEqual([step.status, step.token, step.attempts], ["succeeded", 2, 1]);
    assert.deepEqual(
      executor.ledger.map(({ what }) => what),
      ["apply", "settle", "apply", "applied"],
    );
  });

  test("loses a step to another one, which looks first, and its late write is refused", async () => {
    const held = gate();
    const first = fakeExecutor({ act: () => held.opened });
    const one = await all.start(first);
    const run = await begin();
    await all.pass(1_000);
    const second = fakeExecutor();
    await all.start(second);
    one.leases.cut(true);
    await all.pass(leaseMs + takeoverMarginMs - 12_000);
    assert.deepEqual(second.ledger, []);
    await all.pass(16_000);
    assert.deepEqual(
      second.ledger.map(({ what }) => what),
      ["settle", "apply", "applied"],
    );
    assert.equal(await statusOf(run), "succeeded");
    one.leases.cut(false);
    await all.pass(12_000);
    held.open();
    await all.pass(1_000);
    assert.ok(one.said.includes(late), one.said.join("\n"));
    assert.equal((await onlyStep(run)).token, 2);
  });
});

suite("a child of a step", () => {
  test("is told the end of the lease before it starts and at each renewal, and no more once cut off", async () => {
    const { child, heldFor } = aChild(600_000);
    const held = gate();
    const executor = fakeExecutor({
      act: async (ctx) => {
        await ctx.childStarted(child);
        await held.opened;
      },
    });
    const one = await all.start(executor);
    await begin();
    await all.pass(500);
    assert.equal(heldFor.length, 1);
    assert.ok((heldFor[0] ?? 0) > 29_000);
    await all.pass(20_000);
    const longest = leaseMs + outlivesLeaseMs;
    assert.deepEqual(heldFor.slice(1), [longest, longest]);
    one.leases.cut(true);
    await all.pass(20_000);
    assert.equal(heldFor.length, 3);
    held.open();
  });

  test("is not let go when the lease ended between its claim and its start", async () => {
    const stored = gate();
    let wasLetGo = false;
    const act = async (ctx: ExecutorContext): Promise<void> => {
      await ctx.childStarted(aChild(0).child);
      wasLetGo = true;
    };
    const failpoint = (name: Failpoint) =>
      name === "step.childStored" ? stored.opened : undefined;
    const one = await all.start(fakeExecutor({ act }), { failpoint });
    const run = await begin();
    await all.pass(500);
    one.leases.cut(true);
    await all.pass(leaseMs);
    stored.open();
    await all.pass(1_000);
    assert.equal(wasLetGo, false);
    one.leases.cut(false);
    await all.pass(20_000);
    assert.equal((await onlyStep(run)).status, "succeeded");
  });

  test("keeps its step from being taken as long as it may take to stop", async () => {
    const stuck = fakeExecutor({
      act: async (ctx) => {
        await ctx.childStarted(aChild(60_000).child);
        await new Promise(() => undefined);
      },
    });
    const one = await all.start(stuck, { stopGraceMs: 1 });
    const run = await begin();
    await all.pass(1_000);
    const second = fakeExecutor();
    await all.start(second);
    one.leases.cut(true);
    await all.pass(leaseMs + outlivesLeaseMs + 45_000);
    assert.deepEqual([second.ledger, (await onlyStep(run)).status], [[], "running"]);
    await all.pass(25_000);
    assert.equal((await onlyStep(run)).status, "succeeded");
  });
});

suite("a worker that died", () => {
  test("is found out within seconds by a neighbour, when its children are dead too", async () => {
    const one = await all.start(hanging(true), { stopGraceMs: 1 });
    const run = await begin();
    await all.pass(1_000);
    const second = fakeExecutor();
    await all.start(second);
    one.leases.cut(true);
    all.die(0, { childrenLive: true });
    await all.pass(10_000);
    assert.deepEqual(second.ledger, []);
    all.die(0);
    await all.pass(3_000);
    assert.equal(await statusOf(run), "succeeded");
    const workers = await all.world.store.read((tx) => tx.workers.list());
    assert.equal(workers.length, 1);
  });

  test("that was only taken for dead stops, writes nothing, and begins anew under another id", async () => {
    const held = gate();
    const first = fakeExecutor({ act: (ctx) => (ctx.token === 1 ? held.opened : done()) });
    const metrics = new FakeMetrics();
    const one = await all.start(first, {}, { metrics });
    const run = await begin();
    await all.pass(1_000);
    const [before] = await all.world.store.read((tx) => tx.workers.list());
    assert.ok(before);
    await all.world.store.transact((tx) => tx.workers.setStatus(before.id, "gone"));
    await all.pass(leaseMs / 2);
    held.open();
    await all.pass(1_000);
    assert.equal(await statusOf(run), "succeeded");
    const [after, ...more] = await all.world.store.read((tx) => tx.workers.list());
    assert.notEqual(after?.id, before.id);
    assert.deepEqual([after?.status, more], ["working", []]);
    assert.equal((await onlyStep(run)).token, 2);
    assert.ok(one.said.some((line) => line.includes("taken for dead")));
    assert.equal(metrics.sum("glasshouse_leases_lost_total"), 1);
    assert.ok(!one.said.includes(late));
  });
});

suite("a worker that is stopped", () => {
  test("says so, ends what it has, and leaves the rest to others at once", async () => {
    const first = hanging(false);
    const one = await all.start(first);
    const run = await begin();
    await all.pass(1_000);
    const second = fakeExecutor();
    await all.start(second);
    const stopping = one.engine.stop();
    await all.pass(500);
    await stopping;
    await all.pass(1_000);
    assert.equal(await statusOf(run), "succeeded");
    assert.deepEqual(
      second.ledger.map(({ what }) => what),
      ["settle", "apply", "applied"],
    );
  });

  test("without ending all in its time keeps its lease until that ends", async () => {
    const one = await all.start(hanging(true), { stopGraceMs: 1_000 });
    const run = await begin();
    await all.pass(1_000);
    const second = fakeExecutor();
    await all.start(second);
    const stopping = one.engine.stop();
    await all.pass(2_000);
    await stopping;
    const statuses = await all.world.store.read((tx) => tx.workers.list());
    assert.deepEqual(statuses.map(({ status }) => status).toSorted(), ["draining", "working"]);
    await all.pass(15_000);
    assert.deepEqual(second.ledger, []);
    await all.pass(leaseMs + outlivesLeaseMs);
    assert.equal(await statusOf(run), "succeeded");
  });
});

suite("many workers", () => {
  test("work on one run together, and each of its groups is made once", async () => {
    const executor = fakeExecutor();
    const groups = Object.fromEntries(
      Array.from({ length: 30 }, (_none, n) => [
        `g${n}`,
        sampleGroup({ dependsOn: n < 10 ? [] : [`g${n - 10}`] }),
      ]),
    );
    for (let n = 0; n < 3; n += 1) await all.start(executor, { places: 3 });
    const run = await all.world.create(await all.world.template(sampleTemplate(groups)));
    await all.pass(10_000);
    assert.equal(await statusOf(run.id), "succeeded");
    assert.deepEqual(executor.order("applied").toSorted(), Object.keys(groups).toSorted());
    const owners = new Set((await all.world.steps(run.id)).map((step) => step.worker));
    assert.ok(owners.size > 1, `all was done by ${[...owners].join()}`);
  });

  test("interrupt what runs elsewhere when a step fails that aborts its run", async () => {
    const held = gate();
    const body = sampleTemplate({
      a: sampleGroup({ onFailure: "abort" }),
      b: sampleGroup({ onFailure: "abort" }),
    });
    let interrupted = 0;
    const act = async (ctx: ExecutorContext): Promise<void> => {
      if (ctx.group === "a") await held.opened.then(fail);
      await untilInterrupted(ctx).catch((error: unknown) => {
        interrupted += 1;
        throw error;
      });
    };
    for (let n = 0; n < 2; n += 1) await all.start(fakeExecutor({ act }), { places: 1 });
    const run = await all.world.create(await all.world.template(body));
    await all.pass(1_000);
    assert.equal(new Set((await all.world.steps(run.id)).map((step) => step.worker)).size, 2);
    held.open();
    await all.pass(2_000);
    assert.deepEqual([interrupted, await statusOf(run.id)], [1, "failed"]);
  });

  test("go by the store's clock when an environment's time comes, not by a wrong one of their own", async () => {
    const asked: string[] = [];
    const { clock } = all;
    const wrong = {
      now: () => clock.now() + 10 * dayMs,
      monotonic: () => clock.monotonic(),
      id: (kind: IdKind) => clock.id(kind),
      after: (delayMs: number, fn: () => void) => clock.after(delayMs, fn),
    };
    const requestDestroy = async ({ key }: { readonly key: string }) => void asked.push(key);
    const run = await begin();
    const { environmentId } = (await all.world.store.read((tx) => tx.runs.get(run))) ?? {};
    assert.ok(environmentId);
    const plannedDestructionAt = timestamp(clock, dayMs);
    await all.world.store.transact((tx) =>
      tx.environments.update(environmentId, { plannedDestructionAt }),
    );
    await all.start(fakeExecutor(), {}, { clock: wrong, requestDestroy });
    await all.start(fakeExecutor(), {}, { requestDestroy });
    await all.pass(120_000);
    assert.deepEqual(asked, []);
    clock.advance(dayMs - 60_000);
    await all.pass(120_000);
    const keys = new Set(asked);
    assert.deepEqual([...keys], [`lifetime:${environmentId}:${plannedDestructionAt}`]);
  });

  test("cancel a run whose step runs on another one", async () => {
    const first = hanging(false);
    await all.start(first);
    const run = await begin();
    await all.pass(1_000);
    await all.start(fakeExecutor());
    await all.world.store.transact((tx) =>
      tx.runs.update(run, { cancelRequestedAt: new Date().toISOString() }),
    );
    await all.pass(1_000);
    assert.equal(await statusOf(run), "cancelled");
  });
});

async function begin(): Promise<string> {
  const body = sampleTemplate({ only: sampleGroup() });
  return (await all.world.create(await all.world.template(body))).id;
}

async function statusOf(runId: string): Promise<string | undefined> {
  return (await all.world.store.read((tx) => tx.runs.get(runId)))?.status;
}

async function onlyStep(runId: string) {
  const [step] = await all.world.steps(runId);
  assert.ok(step);
  return step;
}

function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

function fail(): never {
  throw new GlasshouseError("step-failed", "Its program ended with exit code 1.");
}

function done(): Promise<void> {
  return Promise.resolve();
}

/** One whose apply goes on until it is interrupted, or for ever. */
function hanging(forEver: boolean) {
  return fakeExecutor({
    act: async (ctx) => {
      await ctx.childStarted(aChild(1_000).child);
      await (forEver ? new Promise<never>(() => undefined) : untilInterrupted(ctx));
    },
  });
}

function aChild(stopsWithinMs: number) {
  const identity: ChildIdentity = { pid: 7, startTime: "1", bootId: "b", stopsWithinMs };
  const heldFor: number[] = [];
  return { heldFor, child: { identity, holdFor: (ms: number) => void heldFor.push(ms) } };
}
