import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Site, type RunView } from "../../support/site.ts";

const pair = {
  name: "pair",
  more: { parameters: { size: { type: "string", default: "1" } } },
  groups: { low: "${{ parameters.size }}", high: "on ${{ groups.low.outputs.value }}" },
};

describe("ways out of every wait", () => {
  let site: Site;
  before(async () => {
    site = await Site.open();
    await site.register(pair);
  });
  after(() => site.close());

  const waitingForApproval = async (name: string): Promise<RunView> => {
    await site.create(name, "pair");
    const plan = await site.plan(name, { parameters: { size: "2" } });
    const run = await site.settled(
      await site.command("environment.apply", name, { plan: plan.id, deferred: "ask" }),
    );
    assert.equal(run.status, "waiting");
    return run;
  };

  test("what comes after a run that waits for approval says what is before it, and goes on after it", async () => {
    const run = await waitingForApproval("behind");
    const update = await site.ask("PATCH", "/environments/behind", {
      body: { parameters: { size: "3" } },
    });
    const queued = await site.run(update.run);
    assert.equal(queued.status, "queued");
    assert.equal(queued.position, 1);
    assert.deepEqual(queued.blocker, { kind: "queue", on: [run.id] });
    await site.command("run.approve", run.id);
    assert.equal((await site.settled(update)).status, "succeeded");
    assert.equal(await site.outside.read("behind.high.made"), "on 3");
  });

  test("destroy now ends a run that waits for approval", async () => {
    const run = await waitingForApproval("now");
    const destroy = await site.ask("DELETE", "/environments/now?now");
    assert.equal((await site.settled(destroy, 15_000)).status, "succeeded");
    assert.equal((await site.run(run.id)).status, "cancelled");
    assert.deepEqual(await site.outside.made("now"), []);
  });

  test("a waiting run outlives a restart", async () => {
    const run = await waitingForApproval("restart");
    await site.server.stop();
    await site.start();
    assert.equal((await site.run(run.id)).status, "waiting");
    await site.command("run.approve", run.id);
    await site.runWhen(run, ({ status }) => status === "succeeded");
    assert.equal(await site.outside.read("restart.high.made"), "on 2");
  });

  test("a run whose outcome nobody knows can be cancelled, and what may exist is taken down", async () => {
    await site.register({
      name: "blind",
      groups: {
        a: {
          more: {
            outputs: [],
            with: {
              create: ["./thing", "create", site.outside.directory, "1"],
              destroy: ["./thing", "destroy", site.outside.directory],
            },
          },
        },
      },
    });
    await site.outside.hold("blind", "a");
    const command = await site.ask("POST", "/environments", {
      body: { name: "blind", template: "blind" },
    });
    await site.begun("blind", "begin-create blind.a");
    site.server.kill();
    await site.server.ended;
    await site.start();
    assert.equal((await site.settled(command)).status, "waiting");
    await site.ask("POST", `/runs/${command.run}/cancel`);
    await site.runWhen(command, ({ status }) => status === "cancelled", 15_000);
    assert.equal((await site.environment("blind")).status, "deployed-failed");
    await site.outside.write("blind.a.made", "1");
    await site.outside.remove("blind.a.hold");
    assert.equal((await site.destroy("blind")).status, "succeeded");
    assert.deepEqual(await site.outside.made("blind"), []);
  });

  test("a queued destroy that is cancelled lets the environment be again", async () => {
    const release = await site.outside.hold("spared", "low");
    const create = await site.ask("POST", "/environments", {
      body: { name: "spared", template: "pair" },
    });
    await site.begun("spared", "begin-create spared.low");
    const destroy = await site.ask("DELETE", "/environments/spared");
    await site.ask("POST", `/runs/${destroy.run}/cancel`);
    assert.equal((await site.run(destroy.run)).status, "cancelled");
    await release();
    assert.equal((await site.settled(create)).status, "succeeded");
    const environment = await site.environment("spared");
    assert.equal(environment.status, "deployed-ok", environment.reason ?? "");
    assert.deepEqual(await site.outside.made("spared"), ["high", "low"]);
  });

  test("checks that were pending at a stop go on at the next start", async () => {
    await site.register({
      name: "checked",
      more: {
        checks: {
          file: {
            command: ["./probe", site.outside.directory],
            interval: "200ms",
            timeout: "1s",
            within: "2m",
          },
        },
      },
      groups: { a: "1" },
      files: { probe: '#!/bin/sh\ntest -e "$1/well"\n' },
    });
    const command = await site.ask("POST", "/environments", {
      body: { name: "checked", template: "checked" },
    });
    await site.environmentWhen("checked", ({ status }) => status === "deployed-validating");
    await site.server.stop();
    await site.outside.write("well");
    await site.start();
    assert.equal((await site.settled(command, 15_000)).status, "succeeded");
    assert.equal((await site.environment("checked")).status, "deployed-ok");
    assert.equal((await site.outside.ledger("checked")).length, 2);
  });

  test("a look that cannot look fails its run, says why, and leaves what is known", async () => {
    await site.create("unseen", "pair");
    await site.outside.fail("unseen.low.observe", 9);
    const run = await site.settled(await site.command("environment.refresh", "unseen"));
    assert.equal(run.status, "failed");
    assert.match(run.reason ?? "", /low.*9/u);
    const environment = await site.environment("unseen");
    assert.equal(environment.status, "deployed-ok");
    assert.equal(environment.drifted, false);
    assert.equal((await site.drift("unseen")).drifted, false);
  });
});
