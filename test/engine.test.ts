import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { GlasshouseError } from "../src/domain/errors.ts";
import { fakeExecutor, untilInterrupted } from "../src/testing/fake-executor.ts";
import { sampleGroup, sampleTemplate } from "../src/testing/samples.ts";
import { createWorld, type World, type WorldOptions } from "./support/world.ts";

const worlds: World[] = [];
async function world(options: WorldOptions): Promise<World> {
  const made = await createWorld(options);
  worlds.push(made);
  return made;
}
afterEach(async () => {
  for (const made of worlds.splice(0)) await made.close();
});

const network = sampleGroup({
  outputs: ["id"],
  resources: {
    vnet: {
      name: "Network",
      description: "",
      tags: {},
      count: 1,
      links: {},
      checks: {},
      dependsOn: [],
    },
  },
});
const web = sampleGroup({
  inputs: ["network"],
  outputs: ["address"],
  with: { create: ["./up", "${{ groups.network.outputs.id }}", "${{ parameters.size }}"] },
});
const shop = sampleTemplate(
  { web, network },
  {
    parameters: {
      size: { type: "integer", description: "", default: 1, secret: false, immutable: false },
    },
    outputs: { address: "${{ groups.web.outputs.address }}" },
    entrypoints: {
      shop: { url: "http://${{ groups.web.outputs.address }}/", description: "The shop" },
    },
  },
);

describe("an environment's life", () => {
  test("is created in order, with its outputs, entrypoints and resources", async () => {
    const executor = fakeExecutor();
    const w = await world({ executors: [executor] });
    const run = await w.create(await w.template(shop));
    assert.equal((await w.ended(run.id)).status, "succeeded");
    assert.deepEqual(executor.order("applied"), ["network", "web"]);
    const made = await w.environment(run.environmentId);
    assert.equal(made.status, "deployed-ok");
    assert.deepEqual(made.outputs, { address: "web.address" });
    assert.equal(made.entrypoints["shop"]?.url, "http://web.address/");
    assert.equal(made.activeRun, null);
    const resources = await w.store.read((tx) => tx.resources.ofEnvironment(made.id));
    assert.deepEqual(
      resources.map((resource) => `${resource.group}.${resource.key} ${resource.status}`),
      ["network.vnet present"],
    );
  });

  test("is updated by what changed alone, and by nothing when nothing did", async () => {
    const executor = fakeExecutor();
    const w = await world({ executors: [executor] });
    const template = await w.template(shop);
    const run = await w.create(template);
    await w.ended(run.id);
    const wanted = {
      templates: [
        { templateId: template.id, name: "sample", version: "1.0.0", parameters: { size: 2 } },
      ],
    };
    const second = await w.ended((await w.queue(run.environmentId, "update", { wanted })).id);
    assert.equal(second.status, "succeeded");
    assert.deepEqual(executor.order("applied"), ["network", "web", "web"]);
    const third = await w.ended((await w.queue(run.environmentId, "update")).id);
    assert.equal(third.status, "succeeded");
    assert.equal(executor.order("applied").length, 3);
    assert.deepEqual(third.progress, { done: 2, total: 2, failed: 0, skipped: 2 });
  });

  test("is destroyed from its records, dependents first", async () => {
    const executor = fakeExecutor();
    const w = await world({ executors: [executor] });
    const run = await w.create(await w.template(shop));
    await w.ended(run.id);
    const destroy = await w.ended((await w.queue(run.environmentId, "destroy")).id);
    assert.equal(destroy.status, "succeeded");
    assert.deepEqual(executor.order("destroyed"), ["web", "network"]);
    const gone = await w.environment(run.environmentId);
    assert.equal(gone.status, "destroyed");
    assert.notEqual(gone.destroyedAt, null);
    assert.deepEqual(await w.store.read((tx) => tx.records.list(run.environmentId)), []);
  });

  test("keeps a gap-free sequence of events from queued to destroyed", async () => {
    const w = await world({ executors: [fakeExecutor()] });
    const run = await w.create(await w.template(shop));
    await w.ended(run.id);
    await w.ended((await w.queue(run.environmentId, "destroy")).id);
    const events = await w.store.read((tx) =>
      tx.events.after(0, { environmentId: run.environmentId, limit: 1_000 }),
    );
    assert.deepEqual(
      events.map((event) => event.sequence),
      events.map((_, index) => index + 1),
    );
    const types = events.map((event) => event.type);
    for (const expected of [
      "run.started",
      "step.started",
      "step.succeeded",
      "resource.created",
      "run.succeeded",
      "environment.ok",
      "environment.destroying",
      "environment.destroyed",
    ]) {
      assert.ok(
        types.some((type) => type === expected),
        expected,
      );
    }
  });
});

describe("failures", () => {
  test("stop the subtree, let independent branches finish, and are retried from where they failed", async () => {
    let broken = true;
    const executor = fakeExecutor({
      act: async (ctx) => {
        if (ctx.group === "left" && broken) throw new GlasshouseError("step-failed", "no disk");
      },
    });
    const w = await world({ executors: [executor] });
    const body = sampleTemplate({
      root: sampleGroup(),
      left: sampleGroup({ dependsOn: ["root"] }),
      right: sampleGroup({ dependsOn: ["root"] }),
      below: sampleGroup({ dependsOn: ["left"] }),
    });
    const run = await w.create(await w.template(body));
    const failed = await w.ended(run.id);
    assert.equal(failed.status, "failed");
    assert.match(failed.failure?.message ?? "", /group left: no disk/u);
    assert.equal((await w.environment(run.environmentId)).status, "deployed-failed");
    assert.deepEqual(executor.order("applied").toSorted(), ["right", "root"]);
    const statuses = Object.fromEntries(
      (await w.steps(run.id)).map((step) => [step.group, step.status]),
    );
    assert.deepEqual(statuses, {
      root: "succeeded",
      right: "succeeded",
      left: "failed",
      below: "blocked",
    });
    const records = await w.store.read((tx) => tx.records.list(run.environmentId));
    assert.equal(records.find((record) => record.group === "left")?.status, "partial");
    broken = false;
    const again = await w.ended((await w.queue(run.environmentId, "update")).id);
    assert.equal(again.status, "succeeded");
    assert.deepEqual(executor.order("applied").slice(2), ["left", "below"]);
  });

  test("that are transient are tried again by the step's policy, terminal ones are not", async () => {
    const executor = fakeExecutor({
      act: async (ctx) => {
        const before = executor.ledger.filter(
          (entry) => entry.group === ctx.group && entry.what === "apply",
        ).length;
        if (ctx.group === "flaky" && before < 3)
          throw new GlasshouseError("unavailable", "not yet");
        if (ctx.group === "broken") throw new GlasshouseError("step-failed", "never");
      },
    });
    const w = await world({ executors: [executor] });
    const retry = { attempts: 3, backoffMs: 10 };
    const run = await w.create(
      await w.template(
        sampleTemplate({ flaky: sampleGroup({ retry }), broken: sampleGroup({ retry }) }),
      ),
    );
    assert.equal((await w.ended(run.id)).status, "failed");
    assert.equal(executor.order("apply").filter((group) => group === "flaky").length, 3);
    assert.equal(executor.order("apply").filter((group) => group === "broken").length, 1);
    const steps = await w.steps(run.id);
    assert.equal(steps.find((step) => step.group === "flaky")?.status, "succeeded");
  });

  test("with onFailure abort interrupt what runs and cancel the rest", async () => {
    const executor = fakeExecutor({
      act: async (ctx) => {
        if (ctx.group === "slow") await untilInterrupted(ctx);
        if (ctx.group === "broken") throw new GlasshouseError("step-failed", "bad");
      },
    });
    const w = await world({ executors: [executor] });
    const body = sampleTemplate({
      slow: sampleGroup(),
      broken: sampleGroup({ onFailure: "abort" }),
      later: sampleGroup({ dependsOn: ["slow"] }),
    });
    const run = await w.create(await w.template(body));
    assert.equal((await w.ended(run.id)).status, "failed");
    const statuses = Object.fromEntries(
      (await w.steps(run.id)).map((step) => [step.group, step.status]),
    );
    assert.deepEqual(statuses, { slow: "cancelled", broken: "failed", later: "cancelled" });
  });

  test("of a declared output that is not delivered name it", async () => {
    const w = await world({ executors: [fakeExecutor({ outputs: () => ({}) })] });
    const run = await w.create(await w.template(shop));
    const failed = await w.ended(run.id);
    assert.match(
      JSON.stringify(failed.failure),
      /output-missing.*sample\/network declares the output id/u,
    );
  });

  test("of an expression over outputs fail the run and not the engine", async () => {
    const w = await world({
      executors: [fakeExecutor({ outputs: () => ({ id: "x", address: "y" }) })],
    });
    const body = { ...shop, outputs: { address: "${{ groups.web.outputs.address + 1 }}" } };
    const run = await w.create(await w.template(body));
    assert.equal((await w.ended(run.id)).status, "failed");
    assert.equal((await w.environment(run.environmentId)).status, "deployed-failed");
  });

  test("of a step that takes too long end it and say so", async () => {
    const w = await world({ executors: [fakeExecutor({ act: untilInterrupted })] });
    const run = await w.create(
      await w.template(sampleTemplate({ slow: sampleGroup({ timeoutMs: 50 }) })),
    );
    const failed = await w.ended(run.id);
    assert.equal(failed.failure?.code, "timeout");
  });
});

describe("cancelling", () => {
  test("interrupts what runs, cancels the rest and keeps what may exist as partial", async () => {
    const executor = fakeExecutor({
      act: (ctx) => (ctx.group === "network" ? untilInterrupted(ctx) : Promise.resolve()),
    });
    const w = await world({ executors: [executor] });
    const run = await w.create(await w.template(shop));
    await w.until(run.id, (now) => now.status === "running");
    await w.store.transact((tx) =>
      tx.runs.update(run.id, { cancelRequestedAt: new Date().toISOString() }),
    );
    assert.equal((await w.ended(run.id)).status, "cancelled");
    const made = await w.environment(run.environmentId);
    assert.equal(made.status, "deployed-failed");
    assert.equal(made.activeRun, null);
    const records = await w.store.read((tx) => tx.records.list(run.environmentId));
    assert.deepEqual(
      records.map((record) => `${record.group} ${record.status}`),
      ["network partial"],
    );
  });
});

describe("steps of unknown outcome", () => {
  test("are looked at first after a restart, and finished ones are not redone", async () => {
    const first = fakeExecutor({
      act: (ctx) => (ctx.group === "web" ? new Promise<never>(() => undefined) : Promise.resolve()),
    });
    const w = await world({ executors: [first], settings: { stopGraceMs: 1 } });
    const run = await w.create(await w.template(shop));
    await waitForEntry(first, "web");
    await w.engine.stop();
    await w.store.close();
    const second = fakeExecutor();
    const w2 = await world({ executors: [second], directory: w.directory });
    assert.equal((await w2.ended(run.id)).status, "succeeded");
    assert.deepEqual(
      second.ledger.map((entry) => `${entry.what} ${entry.group}`),
      ["settle web", "apply web", "applied web"],
    );
  });

  test("wait for a person when only a person can say, and go on with a retry", async () => {
    const first = fakeExecutor({ act: () => new Promise<never>(() => undefined) });
    const w = await world({ executors: [first], settings: { stopGraceMs: 1 } });
    const run = await w.create(await w.template(sampleTemplate({ only: sampleGroup() })));
    await waitForEntry(first, "only");
    await w.engine.stop();
    await w.store.close();
    const second = fakeExecutor({
      settle: () => ({
        kind: "ask",
        reason: "outcome-unknown",
        detail: "it may have run",
        addresses: [],
      }),
    });
    const w2 = await world({ executors: [second], directory: w.directory });
    const waiting = await w2.until(run.id, (now) => now.status === "waiting");
    assert.equal(waiting.blocker?.kind, "outcome-unknown");
    assert.match(waiting.reason ?? "", /it may have run/u);
    assert.equal((await w2.environment(run.environmentId)).reason, waiting.reason);
    assert.deepEqual(second.order("apply"), []);
    await w2.store.transact(async (tx) => {
      await tx.steps.reopen(run.id, new Date().toISOString());
      await tx.runs.update(run.id, { status: "running", reason: null, blocker: null });
    });
    assert.equal((await w2.ended(run.id)).status, "succeeded");
    assert.deepEqual(second.order("applied"), ["only"]);
  });
});

describe("looking for drift", () => {
  test("marks the group and the environment, and the next update makes it right", async () => {
    let drift: "none" | "drifted" = "drifted";
    const executor = fakeExecutor({
      observe: (ctx) => ({
        drift: ctx.group === "network" ? drift : "none",
        changes: [],
        observed: [],
        outputs: null,
      }),
    });
    const w = await world({ executors: [executor] });
    const run = await w.create(await w.template(shop));
    await w.ended(run.id);
    await w.ended((await w.queue(run.environmentId, "refresh")).id);
    assert.equal((await w.environment(run.environmentId)).drifted, true);
    assert.equal((await w.environment(run.environmentId)).status, "deployed-ok");
    drift = "none";
    await w.ended((await w.queue(run.environmentId, "update")).id);
    assert.deepEqual(executor.order("applied"), ["network", "web", "network"]);
    assert.equal((await w.environment(run.environmentId)).drifted, false);
  });
});

async function waitForEntry(
  executor: ReturnType<typeof fakeExecutor>,
  group: string,
): Promise<void> {
  while (!executor.ledger.some((entry) => entry.group === group && entry.what === "apply")) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}
