import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Site, type CommandView } from "../../support/site.ts";

const pair = {
  name: "pair",
  more: { parameters: { size: { type: "string", default: "1" } } },
  groups: { low: "${{ parameters.size }}", high: { value: "high", dependsOn: ["low"] } },
};

describe("cancelling", () => {
  let site: Site;
  before(async () => {
    site = await Site.open();
    await site.register(pair);
  });
  after(() => site.close());

  const creating = (name: string, template = "pair"): Promise<CommandView> =>
    site.ask("POST", "/environments", { body: { name, template } });

  test("a queued run is cancelled at once and the one before it goes on", async () => {
    const release = await site.outside.hold("queued", "low");
    const first = await creating("queued");
    await site.begun("queued", "begin-create queued.low");
    const second = await site.ask("PATCH", "/environments/queued", {
      body: { parameters: { size: "2" } },
    });
    assert.equal((await site.run(second.run)).status, "queued");
    await site.ask("POST", `/runs/${second.run}/cancel`);
    assert.equal((await site.run(second.run)).status, "cancelled");
    assert.equal((await site.commandNow(second)).status, "cancelled");
    await release();
    assert.equal((await site.settled(first)).status, "succeeded");
    assert.equal(await site.outside.read("queued.low.made"), "1");
    const twice = await site.refused("POST", `/runs/${second.run}/cancel`);
    assert.equal(twice.status, 409);
  });

  test("a running run is interrupted gently: nothing new begins, what was begun is known, destroy works", async () => {
    await site.outside.hold("running", "low");
    const command = await creating("running");
    await site.begun("running", "begin-create running.low");
    await site.ask("POST", `/runs/${command.run}/cancel`);
    const run = await site.settled(command);
    assert.equal(run.status, "cancelled");
    assert.equal((await site.commandNow(command)).status, "cancelled");
    const environment = await site.environment("running");
    assert.equal(environment.status, "deployed-failed");
    assert.match(environment.reason ?? "", /cancelled/u);
    assert.equal(environment.activeRun, null);
    const status = new Map((await site.steps(run)).map((step) => [step.group, step.status]));
    assert.deepEqual(Object.fromEntries(status), { low: "cancelled", high: "cancelled" });
    await site.outside.remove("running.low.hold");
    assert.equal((await site.destroy("running")).status, "succeeded");
    assert.deepEqual(await site.outside.made("running"), []);
  });

  test("a cancelled run can be retried and ends as it would have", async () => {
    await site.outside.hold("again", "low");
    const command = await creating("again");
    await site.begun("again", "begin-create again.low");
    await site.ask("POST", `/runs/${command.run}/cancel`);
    await site.settled(command);
    await site.outside.remove("again.low.hold");
    const run = await site.settled(await site.ask("POST", `/runs/${command.run}/retry`));
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.deepEqual(await site.outside.made("again"), ["high", "low"]);
  });

  test("a command that does not listen is killed when cancel is asked twice", async () => {
    await site.outside.hold("deaf", "low");
    await site.outside.write("deaf.low.deaf");
    const command = await creating("deaf");
    await site.begun("deaf", "begin-create deaf.low");
    await site.ask("POST", `/runs/${command.run}/cancel`);
    await new Promise((resolve) => {
      setTimeout(resolve, 500);
    });
    assert.equal((await site.run(command.run)).status, "running");
    await site.ask("POST", `/runs/${command.run}/cancel`);
    const run = await site.settled(command, 20_000);
    assert.equal(run.status, "cancelled");
    await site.outside.remove("deaf.low.hold");
    await site.outside.remove("deaf.low.deaf");
    assert.equal((await site.destroy("deaf")).status, "succeeded");
  });

  test("a run that waits between two tries of a step is cancelled", async () => {
    await site.register({
      name: "patient",
      groups: { a: { value: "1", more: { retry: { attempts: 3, backoff: "10m" } } } },
    });
    await site.outside.fail("backoff.a.create", 75);
    const command = await creating("backoff", "patient");
    const run = await site.runWhen(command, ({ status }) => status === "running");
    await site.environmentWhen("backoff", ({ status }) => status === "deploying");
    await site.begun("backoff", "begin-create backoff.a");
    while ((await site.step(run, "apply:patient/a")).status === "running") {
      await new Promise((resolve) => {
        setTimeout(resolve, 40);
      });
    }
    await site.ask("POST", `/runs/${run.id}/cancel`);
    assert.equal((await site.settled(command, 20_000)).status, "cancelled");
  });

  test("a run whose checks are pending is cancelled, and the environment says so", async () => {
    await site.register({
      name: "checked",
      more: {
        checks: { door: { tcp: "127.0.0.1:1", interval: "1s", timeout: "1s", within: "10m" } },
      },
      groups: { a: "1" },
    });
    const command = await creating("pending", "checked");
    await site.environmentWhen("pending", ({ status }) => status === "deployed-validating");
    assert.equal((await site.run(command.run)).stage, "checks");
    await site.ask("POST", `/runs/${command.run}/cancel`);
    const run = await site.settled(command, 20_000);
    assert.equal(run.status, "cancelled");
    const environment = await site.environment("pending");
    assert.equal(environment.status, "deployed-failed");
    assert.equal((await site.destroy("pending")).status, "succeeded");
  });

  test("a run that waits at the head of its queue is cancelled", async () => {
    await site.register({
      name: "needy",
      more: { requires: { base: { environment: "absent", outputs: ["value"] } } },
      groups: { a: "1" },
    });
    const command = await creating("needy", "needy");
    await site.runWhen(command, ({ blocker }) => blocker !== null);
    await site.ask("POST", `/runs/${command.run}/cancel`);
    assert.equal((await site.settled(command)).status, "cancelled");
    assert.equal((await site.environment("needy")).status, "deployed-failed");
    assert.equal((await site.destroy("needy")).status, "succeeded");
  });

  test("a destroy that is cancelled leaves the environment partly destroyed, and goes on later", async () => {
    await site.settled(await creating("partly"));
    await site.outside.hold("partly", "low");
    const command = await site.ask("DELETE", "/environments/partly");
    await site.begun("partly", "begin-destroy partly.low");
    await site.ask("POST", `/runs/${command.run}/cancel`);
    assert.equal((await site.settled(command)).status, "cancelled");
    const environment = await site.environment("partly");
    assert.equal(environment.status, "deployed-failed");
    assert.match(environment.reason ?? "", /partly destroyed/u);
    assert.deepEqual(await site.outside.made("partly"), ["low"]);
    await site.outside.remove("partly.low.hold");
    assert.equal((await site.destroy("partly")).status, "succeeded");
    assert.deepEqual(await site.outside.made("partly"), []);
  });

  test("destroy waits for the run under way; destroy now cancels it", async () => {
    await site.outside.hold("now", "low");
    const creation = await creating("now");
    await site.begun("now", "begin-create now.low");
    const polite = await site.ask("DELETE", "/environments/now");
    assert.equal((await site.run(polite.run)).status, "queued");
    assert.equal((await site.environment("now")).status, "destroying");
    const urgent = await site.ask("DELETE", "/environments/now?now");
    assert.equal(urgent.run, polite.run);
    assert.equal((await site.settled(creation)).status, "cancelled");
    await site.outside.remove("now.low.hold");
    assert.equal((await site.settled(urgent)).status, "succeeded");
    assert.equal((await site.environment("now")).status, "destroyed");
    assert.equal((await site.commandNow(polite)).status, "completed");
  });
});
