import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Site } from "../../support/site.ts";

const quick = { attempts: 3, backoff: "50ms" };
const chain = {
  name: "chain",
  more: { parameters: { size: { type: "string", default: "1" } } },
  groups: {
    first: "${{ parameters.size }}",
    second: { value: "two", dependsOn: ["first"], more: { retry: quick } },
    third: { value: "three", dependsOn: ["second"] },
    aside: "aside",
    beyond: { value: "beyond", dependsOn: ["aside"] },
  },
};

describe("failures", () => {
  let site: Site;
  before(async () => {
    site = await Site.open();
    await site.register(chain);
  });
  after(() => site.close());

  test("a failing group stops what hangs on it and nothing else; retry goes on from there", async () => {
    await site.outside.fail("half.second.create", 1);
    const run = await site.create("half", "chain");
    assert.equal(run.status, "failed");
    assert.match(run.reason ?? "", /second/u);
    assert.deepEqual(await site.outside.made("half"), ["aside", "beyond", "first"]);
    const environment = await site.environment("half");
    assert.equal(environment.status, "deployed-failed");
    assert.match(environment.reason ?? "", /second/u);
    const step = await site.step(run, "apply:chain/second");
    assert.equal(step.attempts, 1);
    assert.equal(step.failure?.code, "step-failed");
    assert.match(await site.log(step), /ends with 1 as asked/u);

    const again = await site.ask("POST", `/runs/${run.id}/retry`);
    const done = await site.settled(again);
    assert.equal(done.id, run.id);
    assert.equal(done.status, "succeeded", done.reason ?? "");
    assert.equal(done.attempt, 2);
    assert.deepEqual(done.progress, { done: 5, total: 5, failed: 0, skipped: 0 });
    assert.equal((await site.environment("half")).status, "deployed-ok");
    const acted = (await site.outside.ledger("half")).filter((line) => !line.startsWith("begin"));
    assert.equal(acted.length, 5, acted.join("\n"));
  });

  test("a transient failure is tried again by the step's policy, and only so often", async () => {
    await site.outside.fail("soon.second.create", 75, 75);
    // Far longer than it takes: a backoff whose end nobody notices would wait for the engine's next slow look.
    const command = await site.ask("POST", "/environments", {
      body: { name: "soon", template: "chain" },
    });
    const run = await site.settled(command, 15_000);
    assert.equal(run.status, "succeeded", run.reason ?? "");
    const begun = (await site.outside.ledger("soon")).filter((line) =>
      line.startsWith("begin-create soon.second"),
    );
    assert.equal(begun.length, 3);
    const types = (await site.events("soon")).map((event) => event.type);
    assert.equal(types.filter((type) => type.endsWith("step.retrying")).length, 2);

    await site.outside.fail("late.second.create", 75, 75, 75, 75);
    const other = await site.create("late", "chain");
    assert.equal(other.status, "failed");
    assert.equal((await site.step(other, "apply:chain/second")).attempts, 3);
  });

  test("retry is refused when what is wanted has moved since, and when nothing has failed", async () => {
    await site.outside.fail("moved.second.create", 1);
    const run = await site.create("moved", "chain");
    const later = await site.update("moved", { parameters: { size: "9" } });
    assert.equal(later.status, "succeeded", later.reason ?? "");
    for (const id of [run.id, later.id]) {
      const problem = await site.refused("POST", `/runs/${id}/retry`);
      assert.equal(problem.status, 409);
      assert.equal(problem.code, "conflict");
    }
    const moved = await site.refused("POST", `/runs/${run.id}/retry`);
    assert.match(moved.detail, /generation 1 .* 2 now/u);
  });

  test("onFailure abort cancels what has not begun and interrupts what runs", async () => {
    await site.register({
      name: "strict",
      groups: {
        bad: { value: "1", more: { onFailure: "abort" } },
        slow: "2",
        after: { value: "3", dependsOn: ["slow"] },
      },
    });
    await site.outside.hold("abort", "slow");
    const release = await site.outside.hold("abort", "bad");
    await site.outside.fail("abort.bad.create", 1);
    const command = await site.ask("POST", "/environments", {
      body: { name: "abort", template: "strict" },
    });
    await site.begun("abort", "begin-create abort.slow");
    await release();
    const run = await site.settled(command);
    assert.equal(run.status, "failed");
    assert.match(run.reason ?? "", /bad/u);
    const status = new Map((await site.steps(run)).map((step) => [step.group, step.status]));
    assert.equal(status.get("bad"), "failed");
    assert.equal(status.get("slow"), "cancelled");
    assert.equal(status.get("after"), "cancelled");
    await site.outside.remove("abort.slow.hold");
    const done = await site.settled(await site.ask("POST", `/runs/${run.id}/retry`));
    assert.equal(done.status, "succeeded", done.reason ?? "");
    assert.deepEqual(await site.outside.made("abort"), ["after", "bad", "slow"]);
  });

  test("an output that is declared and not delivered fails the step and names it", async () => {
    await site.outside.write("mute.first.mute");
    const run = await site.create("mute", "chain");
    assert.equal(run.status, "failed");
    const step = await site.step(run, "apply:chain/first");
    assert.equal(step.failure?.code, "output-missing");
    assert.match(step.failure.message, /first.*value/u);
    // What it made is on record: destroy takes it down.
    assert.equal((await site.destroy("mute")).status, "succeeded");
    assert.deepEqual(await site.outside.made("mute"), []);
  });

  test("a group that takes longer than its limit is stopped and failed", async () => {
    await site.register({
      name: "slow",
      groups: { a: { value: "1", more: { timeout: "1s" } } },
    });
    await site.outside.hold("limit", "a");
    const run = await site.create("limit", "slow");
    assert.equal(run.status, "failed");
    const step = await site.step(run, "apply:slow/a");
    assert.equal(step.failure?.code, "timeout");
    await site.outside.remove("limit.a.hold");
    assert.equal((await site.destroy("limit")).status, "succeeded");
  });

  test("a destroy that fails keeps destroying with the reason, and goes on by retry or destroy", async () => {
    await site.create("stuck", "chain");
    await site.outside.fail("stuck.second.destroy", 1, 1);
    const run = await site.destroy("stuck");
    assert.equal(run.status, "failed");
    const environment = await site.environment("stuck");
    assert.equal(environment.status, "destroying");
    assert.match(environment.reason ?? "", /second/u);
    assert.ok((await site.outside.made("stuck")).includes("first"));
    const again = await site.settled(await site.ask("POST", `/runs/${run.id}/retry`));
    assert.equal(again.status, "failed");
    assert.equal((await site.destroy("stuck")).status, "succeeded");
    assert.deepEqual(await site.outside.made("stuck"), []);
    assert.equal((await site.environment("stuck")).status, "destroyed");
  });
});
