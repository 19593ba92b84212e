import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Site, type PlanView } from "../../support/site.ts";

const made = (group: string): string => `\${{ groups.${group}.outputs.value }}`;
const plain = {
  name: "planned",
  more: { parameters: { size: { type: "string", default: "1" } } },
  groups: {
    ground: "${{ parameters.size }}",
    house: `on ${made("ground")}`,
    shed: "fixed",
  },
};

function marks(plan: PlanView): Readonly<Record<string, string>> {
  const groups = plan.steps.filter((step) => step.group !== null);
  return Object.fromEntries(groups.map((step) => [step.group, step.mark]));
}

describe("plans", () => {
  let site: Site;
  before(async () => {
    site = await Site.open();
    await site.register(plain);
    await site.register({
      ...plain,
      version: "2.0.0",
      groups: { ground: plain.groups.ground, house: plain.groups.house, tower: "high" },
    });
  });
  after(() => site.close());

  test("each group is marked with a reason, and planning changes nothing", async () => {
    await site.create("marks", "planned@1.0.0");
    const ledger = await site.outside.ledger("marks");
    const environment = await site.environment("marks");
    const plan = await site.plan("marks", {
      template: "planned@2.0.0",
      parameters: { size: "2" },
    });
    assert.equal(plan.status, "ready");
    assert.deepEqual(marks(plan), {
      ground: "exact",
      house: "deferred",
      shed: "destroy",
      tower: "exact",
    });
    const reasons = new Map(plan.steps.map((step) => [step.group, step.reason]));
    assert.match(reasons.get("ground") ?? "", /settings/u);
    assert.match(reasons.get("house") ?? "", /outputs of ground/u);
    assert.match(reasons.get("shed") ?? "", /no longer in the template/u);
    assert.match(reasons.get("tower") ?? "", /new group/u);
    assert.deepEqual(plan.summary, { exact: 2, deferred: 1, unchanged: 0, destroy: 1 });
    const ground = plan.steps.find((step) => step.group === "ground");
    assert.ok(ground?.changes.some((change) => change.action === "update"));
    const { sequence, ...rest } = environment;
    const { sequence: now, ...same } = await site.environment("marks");
    assert.deepEqual(same, rest);
    assert.ok(now >= sequence);
    assert.deepEqual(await site.outside.ledger("marks"), ledger);
  });

  test("a plan without a change says that everything is unchanged", async () => {
    await site.create("same", "planned@1.0.0");
    const plan = await site.plan("same");
    assert.deepEqual(plan.summary, { exact: 0, deferred: 0, unchanged: 3, destroy: 0 });
  });

  test("applying does exactly what the plan says, once", async () => {
    await site.create("exact", "planned@1.0.0");
    const plan = await site.plan("exact", { parameters: { size: "2" } });
    const earlier = (await site.outside.ledger("exact")).length;
    const run = await site.settled(
      await site.command("environment.apply", "exact", { plan: plan.id }),
    );
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.equal(run.plan, plan.id);
    const acted = (await site.outside.ledger("exact"))
      .slice(earlier)
      .filter((line) => !line.startsWith("begin"));
    assert.deepEqual(acted, ["update exact.ground 2", "update exact.house on 2"]);
    assert.deepEqual((await site.environment("exact")).parameters, { size: "2" });
    const twice = await site.refused("POST", "/commands", {
      body: { type: "environment.apply", subject: "exact", data: { plan: plan.id } },
    });
    assert.equal(twice.status, 409);
    assert.match(twice.detail, /applied already/u);
  });

  test("a plan whose basis has moved is refused and names what moved", async () => {
    await site.create("stale", "planned@1.0.0");
    const plan = await site.plan("stale", { parameters: { size: "3" } });
    await site.update("stale", { parameters: { size: "2" } });
    const ledger = await site.outside.ledger("stale");
    const problem = await site.refused("POST", "/commands", {
      body: { type: "environment.apply", subject: "stale", data: { plan: plan.id } },
    });
    assert.equal(problem.code, "plan-stale");
    assert.match(problem.detail, /stale|wanted/u);
    assert.match(problem.detail, /generation 1, now 2/u);
    assert.deepEqual(await site.outside.ledger("stale"), ledger);
    assert.equal((await site.environment("stale")).status, "deployed-ok");
  });

  test("a plan is stale, too, when a group's state has moved", async () => {
    await site.create("drifting", "planned@1.0.0");
    const plan = await site.plan("drifting", { parameters: { size: "3" } });
    await site.outside.remove("drifting.shed.made");
    assert.equal((await site.drift("drifting")).drifted, true);
    const ledger = await site.outside.ledger("drifting");
    const body = { type: "environment.apply", subject: "drifting", data: { plan: plan.id } };
    const answer = await site.send("POST", "/commands", { body });
    // Told at once, or by the run before anything has begun.
    if (answer.status === 202) {
      const environment = await site.environmentWhen(
        "drifting",
        ({ activeRun, status }) => activeRun === null && status !== "deploying",
      );
      assert.equal(environment.failure?.code, "plan-stale");
      assert.match(environment.reason ?? "", /planned\/shed/u);
    } else {
      assert.match(JSON.stringify(answer.body), /planned\/shed/u);
    }
    assert.deepEqual(await site.outside.ledger("drifting"), ledger);
  });

  test("a deferred group goes on by itself when it is harmless, and asks when that is wanted", async () => {
    await site.create("asks", "planned@1.0.0");
    const plan = await site.plan("asks", { parameters: { size: "2" } });
    const run = await site.settled(
      await site.command("environment.apply", "asks", { plan: plan.id, deferred: "ask" }),
    );
    assert.equal(run.status, "waiting");
    assert.equal(run.blocker?.kind, "approval");
    assert.match(run.reason ?? "", /house/u);
    assert.equal(await site.outside.read("asks.ground.made"), "2");
    assert.equal(await site.outside.read("asks.house.made"), "on 1");
    assert.equal((await site.environment("asks")).status, "deploying");
    await site.ask("POST", `/runs/${run.id}/approve`);
    await site.runWhen(run, ({ status }) => status === "succeeded");
    assert.equal(await site.outside.read("asks.house.made"), "on 2");
    assert.equal((await site.environment("asks")).status, "deployed-ok");
  });

  test("a run that waits for approval can be cancelled", async () => {
    await site.create("refuses", "planned@1.0.0");
    const plan = await site.plan("refuses", { parameters: { size: "2" } });
    const run = await site.settled(
      await site.command("environment.apply", "refuses", { plan: plan.id, deferred: "ask" }),
    );
    assert.equal(run.status, "waiting");
    await site.ask("POST", `/runs/${run.id}/cancel`);
    await site.runWhen(run, ({ status }) => status === "cancelled");
    assert.equal(await site.outside.read("refuses.house.made"), "on 1");
    assert.equal((await site.environment("refuses")).status, "deployed-failed");
    assert.equal((await site.update("refuses", {})).status, "succeeded");
    assert.equal(await site.outside.read("refuses.house.made"), "on 2");
  });

  test("a plan that could not be made says why, and cannot be applied", async () => {
    await site.register({
      name: "unplannable",
      more: { parameters: { n: { type: "integer", default: 1 } } },
      groups: { a: "${{ 10 / parameters.n }}" },
    });
    await site.create("broken", "unplannable");
    const command = await site.command("environment.plan", "broken", { parameters: { n: 0 } });
    const run = await site.settled(command);
    assert.equal(run.status, "failed");
    assert.match(run.reason ?? "", /group a .*division by zero/u);
    const plan = await site.refused("POST", "/commands", {
      body: { type: "environment.apply", subject: "broken", data: { plan: command.plan } },
    });
    assert.equal(plan.status, 409);
    assert.equal((await site.environment("broken")).status, "deployed-ok");
  });

  test("a plan for what is being destroyed, or for nobody, is refused", async () => {
    await site.create("leaving", "planned@1.0.0");
    await site.destroy("leaving");
    for (const name of ["leaving", "nobody"]) {
      const problem = await site.refused("POST", "/commands", {
        body: { type: "environment.plan", subject: name },
      });
      assert.ok(problem.status === 404 || problem.status === 409, problem.detail);
    }
  });
});
