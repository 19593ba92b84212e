import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { getEnvironment } from "../src/services/environment.ts";
import { getStep, listSteps } from "../src/services/step.ts";
import { listWorkers } from "../src/services/worker.ts";
import { tellWaits, toldWaits } from "../src/services/worker-wait.ts";
import { fakeExecutor } from "../src/testing/fake-executor.ts";
import { createServiceWorld, shopYaml, type ServiceWorld } from "./support/services.ts";
import { until } from "./support/site.ts";

/** Group `train` asks for gpu, group `serve` for nothing, the check for a network. */
function labelledYaml(version = "1.0.0", trainsOn = "[gpu]"): string {
  return `apiVersion: glasshouse/v1
kind: Template
name: model
version: ${version}
groups:
  serve: { executor: command, with: { create: [serve] } }
  train: { executor: command, with: { create: [train] }, runsOn: ${trainsOn} }
actions:
  tune: { app: { name: tune, command: [tune] }, runsOn: [lab] }
`;
}

async function worker(
  { store, deps }: ServiceWorld,
  labels: readonly string[],
  leaseMs: number | null = null,
): Promise<string> {
  const id = deps.clock.id("worker");
  const process = { host: "h", pid: 1, startTime: "1", bootId: "b", pidNamespace: "n" };
  const startedAt = "2026-01-01T00:00:00.000Z";
  await store.transact((tx) =>
    tx.workers.put({ id, labels, process, version: "1.0.0", startedAt }, leaseMs),
  );
  return id;
}

async function inWorld(
  run: (world: ServiceWorld) => Promise<void>,
  options: Parameters<typeof createServiceWorld>[0] = {},
): Promise<void> {
  const world = await createServiceWorld(options);
  try {
    await run(world);
  } finally {
    await world.close();
  }
}

void describe("a command that no worker can serve", () => {
  void it("is refused, naming labels, offers and the way out, and taken once one is there", () =>
    inWorld(async (world) => {
      await world.register(labelledYaml());
      const create = () =>
        world.refused("environment.create", "m", { template: "model" }, { id: "same" });
      const none = await create();
      assert.equal(none.code, "no-worker");
      assert.match(none.message, /group train.*offer gpu, and no worker is there now/u);
      await worker(world, ["eu"]);
      await worker(world, []);
      const some = await create();
      assert.match(some.message, /workers now offer eu\./u);
      assert.match(some.message, /glasshouse server --engine-labels gpu/u);
      assert.deepEqual(some.error.details, [
        { message: "group train runs on workers that offer gpu" },
      ]);
      await worker(world, ["eu", "gpu"]);
      const taken = await world.send(
        "environment.create",
        "m",
        { template: "model" },
        { id: "same" },
      );
      assert.equal(taken.status, "accepted");
    }));

  void it("does not count workers that drain, are gone, or whose lease has ended", () =>
    inWorld(async (world) => {
      await world.register(labelledYaml());
      const draining = await worker(world, ["gpu"]);
      const gone = await worker(world, ["gpu"]);
      await worker(world, ["gpu"], -1);
      await world.store.transact((tx) => tx.workers.setStatus(draining, "draining"));
      await world.store.transact((tx) => tx.workers.setStatus(gone, "gone"));
      const { message } = await world.refused("environment.create", "m", { template: "model" });
      assert.match(message, /no worker is there now/u);
      const statuses = (await listWorkers(world.services)).map((one) => [
        one.worker.status,
        one.worker.isLapsed,
        one.running,
      ]);
      assert.deepEqual(statuses, [
        ["draining", false, 0],
        ["working", true, 0],
      ]);
    }));

  void it("is taken in when it asks for nothing: it waits for whoever comes", () =>
    inWorld(async (world) => {
      await world.register(shopYaml());
      const data = { template: "shop", parameters: { token: "abcd" } };
      const { status } = await world.send("environment.create", "s", data);
      assert.equal(status, "accepted");
    }));

  void it("is refused for an update only where the update is sure to need it", () =>
    inWorld(
      async (world) => {
        await world.register(labelledYaml());
        await world.register(labelledYaml("2.0.0", "[gpu, fast]"));
        const made = await world.send("environment.create", "m", { template: "model@1.0.0" });
        await world.ended(made.runId ?? "");
        const engineWorker = (await listWorkers(world.services))[0]?.worker.id ?? "";
        await world.engine.stop();
        assert.equal((await listWorkers(world.services)).length, 0, engineWorker);
        await worker(world, ["eu"]);
        await world.send("environment.update", "m", {});
        const moved = await world.refused("environment.update", "m", { template: "model@2.0.0" });
        assert.match(moved.message, /group train: it runs on workers that offer fast, gpu/u);
        const plan = await world.refused("environment.plan", "m", { template: "model@2.0.0" });
        assert.equal(plan.code, "no-worker");
        const act = await world.refused("environment.action", "m", { action: "tune" });
        assert.match(act.message, /action tune: it runs on workers that offer lab/u);
        const refresh = await world.refused("environment.refresh", "m");
        assert.match(refresh.message, /group train/u);
        const destroy = await world.refused("environment.destroy", "m");
        assert.match(destroy.message, /group train/u);
        const due = await world.send("environment.destroy", "m", {}, { mayWait: true });
        assert.equal(due.status, "accepted");
      },
      { start: true, deps: { worker: { version: "1.0.0", labels: ["gpu"] } } },
    ));
});

void describe("a plan", () => {
  void it("is taken in without the worker that would make it, where the executor foresees what it would do", () =>
    inWorld(
      async (world) => {
        await world.register(labelledYaml());
        const { status } = await world.send("environment.plan", "m", { template: "model" });
        assert.equal(status, "accepted");
        const create = await world.refused("environment.create", "m", { template: "model" });
        assert.equal(create.code, "no-worker");
      },
      { executors: [{ ...fakeExecutor(), foresee: () => [] }] },
    ));
});

void describe("what waits for a worker", () => {
  void it("says so in run, steps and environment, and takes it back when one comes", () =>
    inWorld(
      async (world) => {
        const gpu = await worker(world, ["gpu"]);
        await world.register(labelledYaml());
        const { runId } = await world.send("environment.create", "m", { template: "model" });
        await until(
          () => world.run(runId),
          ({ progress }) => progress.done === 1,
        );
        assert.deepEqual((await tellWaits(world.services, new Set())).waiting, new Set());
        await world.store.transact((tx) => tx.workers.setStatus(gpu, "gone"));
        const reason = "waits for a worker that offers gpu; workers now offer no labels";
        const seen = await tellWaits(world.services, new Set());
        assert.deepEqual(seen, { waiting: new Set([runId]), isWorkThere: true });
        const run = await world.run(runId);
        assert.deepEqual([run.status, run.reason], ["running", reason]);
        assert.deepEqual(run.blocker, { kind: "worker", on: ["gpu"] });
        assert.equal((await getEnvironment(world.services, "m")).environment.reason, reason);
        const { items } = await listSteps(world.services, run.id, { limit: 10, cursor: null });
        const train = items.find(({ group }) => group === "train");
        assert.equal(train?.reason, reason);
        assert.equal((await getStep(world.services, train.id)).reason, reason);
        assert.deepEqual(await toldWaits(world.services), new Set([runId]));
        const events = await world.store.read((tx) => tx.events.after(0, { limit: 500 }));
        const told = events.filter(({ type }) => type === "run.progressed");
        assert.equal(told.length, 1);
        await tellWaits(world.services, seen.waiting);
        assert.equal((await world.run(runId)).reason, reason);
        await worker(world, ["gpu"]);
        const after = await tellWaits(world.services, seen.waiting);
        assert.equal(after.waiting.size, 0);
        const again = await world.run(runId);
        assert.deepEqual([again.reason, again.blocker], [null, null]);
        assert.equal((await getEnvironment(world.services, "m")).environment.reason, null);
      },
      { start: true },
    ));

  void it("is said of queued runs too when nobody is there at all", () =>
    inWorld(async (world) => {
      await world.register(shopYaml());
      const data = { template: "shop", parameters: { token: "abcd" } };
      const { runId } = await world.send("environment.create", "s", data);
      const { waiting } = await tellWaits(world.services, new Set());
      assert.deepEqual(waiting, new Set([runId]));
      const run = await world.run(runId);
      assert.equal(run.reason, "waits for a worker; no worker is there now");
      await worker(world, []);
      await tellWaits(world.services, waiting);
      assert.deepEqual((await world.run(runId)).blocker, null);
    }));
});
