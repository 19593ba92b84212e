import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Site } from "../../support/site.ts";

describe("plans of environments that do not live yet", () => {
  let site: Site;
  before(async () => {
    site = await Site.open();
    await site.register({
      name: "new",
      more: {
        parameters: {
          size: { type: "string", default: "1" },
          key: { type: "string", secret: true },
        },
        lifetime: { default: "24h" },
      },
      groups: { a: "${{ parameters.size }}", b: "on ${{ groups.a.outputs.value }}" },
    });
  });
  after(() => site.close());

  const wish = { template: "new", parameters: { size: "4", key: "canary-of-a-plan" } };

  test("a plan shows what a create would do, makes nothing and takes no name", async () => {
    const plan = await site.plan("fresh", wish);
    assert.equal(plan.status, "ready");
    assert.equal(plan.kind, "create");
    assert.equal(plan.environmentName, "fresh");
    assert.deepEqual(plan.summary, { exact: 1, deferred: 1, unchanged: 0, destroy: 0 });
    assert.deepEqual(await site.outside.made("fresh"), []);
    assert.equal((await site.send("GET", "/environments/fresh")).status, 404);
    const list = JSON.stringify(await site.get("/environments?destroyed"));
    assert.doesNotMatch(list, /fresh/u);
    assert.doesNotMatch(JSON.stringify(plan), /canary-of-a-plan/u);
  });

  test("applying the plan makes just that environment", async () => {
    const plan = await site.plan("applied", wish);
    const command = await site.ask("POST", "/commands", {
      body: { type: "environment.apply", data: { plan: plan.id } },
    });
    const run = await site.settled(command);
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.equal(run.kind, "create");
    assert.equal(await site.outside.read("applied.b.made"), "on 4");
    const environment = await site.environment("applied");
    assert.equal(environment.status, "deployed-ok");
    assert.notEqual(environment.plannedDestructionAt, null);
    assert.equal(environment.id, plan.environment);
    const twice = await site.refused("POST", "/commands", {
      body: { type: "environment.apply", data: { plan: plan.id } },
    });
    assert.equal(twice.status, 409);
    assert.equal((await site.destroy("applied")).status, "succeeded");
  });

  test("the name can be given as the subject, as for any plan", async () => {
    const plan = await site.plan("subject", wish);
    const command = await site.command("environment.apply", "subject", { plan: plan.id });
    assert.equal((await site.settled(command)).status, "succeeded");
  });

  test("when the name was taken meanwhile, the plan is refused", async () => {
    const plan = await site.plan("contested", wish);
    await site.create("contested", "new", { parameters: { key: "k" } });
    const problem = await site.refused("POST", "/commands", {
      body: { type: "environment.apply", data: { plan: plan.id } },
    });
    assert.equal(problem.status, 409, problem.detail);
    assert.equal(await site.outside.read("contested.a.made"), "1");
  });

  test("of two plans of one name the first applied wins", async () => {
    const one = await site.plan("twice", wish);
    const two = await site.plan("twice", { ...wish, parameters: { key: "k", size: "5" } });
    const first = await site.ask("POST", "/commands", {
      body: { type: "environment.apply", data: { plan: two.id } },
    });
    assert.equal((await site.settled(first)).status, "succeeded");
    const second = await site.refused("POST", "/commands", {
      body: { type: "environment.apply", data: { plan: one.id } },
    });
    assert.equal(second.status, 409);
    assert.equal(await site.outside.read("twice.a.made"), "5");
  });

  test("create after a plan of the same name does not need the plan", async () => {
    await site.plan("tutorial", wish);
    const run = await site.create("tutorial", "new", { parameters: { key: "k" } });
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.equal(await site.outside.read("tutorial.a.made"), "1");
  });

  test("a plan of what is destroyed is a plan of a new one", async () => {
    await site.create("phoenix", "new", { parameters: { key: "k" } });
    const old = await site.environment("phoenix");
    await site.destroy("phoenix");
    const plan = await site.plan("phoenix", wish);
    assert.equal(plan.kind, "create");
    assert.notEqual(plan.environment, old.id);
    assert.equal((await site.environment("phoenix")).id, old.id);
  });
});
