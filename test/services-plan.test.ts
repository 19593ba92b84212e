import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Change } from "../src/domain/resource.ts";
import { maskSecrets, type Value } from "../src/domain/value.ts";
import { getPlan } from "../src/services/plan.ts";
import { fakeExecutor } from "../src/testing/fake-executor.ts";
import { createServiceWorld, plainYaml, type ServiceWorld } from "./support/services.ts";

/** The second group can only be planned when the first is made. */
const deferredYaml = `apiVersion: glasshouse/v1
kind: Template
name: deferred
version: 1.0.0
parameters: { size: { type: integer, default: 1 } }
groups:
  net: { executor: command, with: { create: [net, "\${{ parameters.size }}"] }, outputs: [id] }
  web: { executor: command, with: { create: [web, "\${{ groups.net.outputs.id }}"] } }
`;

const foreseen = (group: string, settings: Value): Change => ({
  address: group,
  action: "create",
  after: maskSecrets(settings),
});

describe("plans", () => {
  let w: ServiceWorld;
  before(async () => {
    w = await createServiceWorld({ start: true });
    await w.register(plainYaml());
  });
  after(() => w.close());

  const made = async (name: string): Promise<void> => {
    const { runId } = await w.send("environment.create", name, { template: "plain" });
    await w.ended(runId ?? "");
  };
  const planned = async (name: string, size: number): Promise<string> => {
    const command = await w.send("environment.plan", name, { parameters: { size } });
    await w.ended(command.runId ?? "");
    return command.planId ?? "";
  };

  test("change nothing that is wanted, and are applied exactly once", async () => {
    await made("once");
    const plan = await planned("once", 5);
    const earlier = await w.named("once");
    assert.deepEqual([earlier.status, earlier.generation], ["deployed-ok", 1]);
    assert.equal((await getPlan(w.services, plan)).plan.status, "ready");
    const apply = await w.send("environment.apply", null, { plan });
    assert.equal((await w.ended(apply.runId ?? "")).status, "succeeded");
    const now = await w.named("once");
    assert.equal(now.desired.templates[0]?.parameters["size"], 5);
    assert.deepEqual([now.generation, now.appliedGeneration], [2, 2]);
    assert.equal((await w.refused("environment.apply", "once", { plan })).code, "conflict");
  });

  test("are stale when what is wanted has moved", async () => {
    await made("stale");
    const plan = await planned("stale", 5);
    const { runId } = await w.send("environment.update", "stale", { parameters: { size: 3 } });
    await w.ended(runId ?? "");
    const { code, message } = await w.refused("environment.apply", "stale", { plan });
    assert.equal(code, "plan-stale");
    assert.match(message, /generation 1, now 2/u);
  });

  test("of what does not live yet create it when they are applied, and until then take no name", async () => {
    const command = await w.send("environment.plan", "new", {
      template: "plain",
      parameters: { size: 4 },
    });
    assert.equal((await w.ended(command.runId ?? "")).status, "succeeded");
    const plan = command.planId ?? "";
    const { plan: saved } = await getPlan(w.services, plan);
    assert.deepEqual([saved.kind, saved.status], ["create", "ready"]);
    assert.equal((await w.refused("environment.update", "new", {})).code, "not-found");
    assert.equal(
      (await w.refused("environment.destroy", saved.environmentId, {})).code,
      "conflict",
    );
    const listed = await w.services.store.read((tx) =>
      tx.environments.list({ includeDestroyed: true }, { limit: 500, cursor: null }),
    );
    assert.ok(listed.items.every((environment) => environment.name !== "new"));
    const apply = await w.send("environment.apply", null, { plan });
    assert.equal((await w.ended(apply.runId ?? "")).status, "succeeded");
    const born = await w.named("new");
    assert.deepEqual([born.status, born.generation, born.prospective], ["deployed-ok", 1, false]);
    assert.equal(born.desired.templates[0]?.parameters["size"], 4);
  });

  test("of what somebody else has created meanwhile are refused", async () => {
    const command = await w.send("environment.plan", "taken", { template: "plain" });
    await w.ended(command.runId ?? "");
    await made("taken");
    const { code } = await w.refused("environment.apply", null, { plan: command.planId ?? "" });
    assert.equal(code, "already-exists");
  });

  test("take no step for groups whose executor can foresee what it would do", async () => {
    const seen = await createServiceWorld({
      start: true,
      executors: [
        { ...fakeExecutor(), foresee: ({ group, settings }) => [foreseen(group, settings)] },
      ],
    });
    try {
      await seen.register(plainYaml());
      const command = await seen.send("environment.plan", "e", {
        template: "plain",
        parameters: { size: 4 },
      });
      const run = await seen.ended(command.runId ?? "");
      assert.deepEqual([run.status, run.progress.total], ["succeeded", 0]);
      const { plan } = await getPlan(seen.services, command.planId ?? "");
      assert.equal(plan.status, "ready");
      const changes = plan.plan?.steps.flatMap((step) => step.changes) ?? [];
      assert.ok(changes.length > 0);
      assert.match(JSON.stringify(changes), /"after":.*4/u);
    } finally {
      await seen.close();
    }
  });

  test("expire", async () => {
    await made("expires");
    const plan = await planned("expires", 5);
    w.later(25 * 3_600_000);
    assert.equal((await w.refused("environment.apply", null, { plan })).code, "plan-expired");
    w.later(-25 * 3_600_000);
  });

  test("belong to their environment, and are not applied before they are ready", async () => {
    await made("own");
    await made("other");
    const plan = await planned("own", 5);
    assert.equal((await w.refused("environment.apply", "other", { plan })).code, "conflict");
    const none = await w.refused("environment.apply", "own", { plan: "pln_none" });
    assert.equal(none.code, "not-found");
  });

  test("let one of two applies at once win", async () => {
    await made("raced");
    const plan = await planned("raced", 5);
    const both = await Promise.allSettled([
      w.send("environment.apply", null, { plan }),
      w.send("environment.apply", null, { plan }),
    ]);
    assert.deepEqual(both.map(({ status }) => status).toSorted(), ["fulfilled", "rejected"]);
  });
});

describe("a plan whose deferred group would destroy something", () => {
  test("waits for approval when it is reached, and goes on with it", async () => {
    const executor = fakeExecutor({
      plan: ({ group }) => ({ changes: [{ address: group, action: "destroy" }], saved: null }),
      // Another output each time, so that what uses it changes too.
      outputs: ({ token, stepId }) => ({ id: `${stepId}-${token}` }),
    });
    const w = await createServiceWorld({ executors: [executor], start: true });
    await w.register(deferredYaml);
    const created = await w.send("environment.create", "e", { template: "deferred" });
    await w.ended(created.runId ?? "");
    const { planId, runId } = await w.send("environment.plan", "e", { parameters: { size: 2 } });
    await w.ended(runId ?? "");
    const apply = await w.send("environment.apply", "e", { plan: planId });
    const waiting = await w.until(apply.runId ?? "", (run) => run.status === "waiting");
    assert.deepEqual(waiting.blocker, { kind: "approval", on: ["apply:deferred/web"] });
    assert.equal((await w.send("run.approve", waiting.id)).status, "completed");
    assert.equal((await w.ended(waiting.id)).status, "succeeded");
    assert.equal((await w.named("e")).status, "deployed-ok");
    await w.close();
  });
});
