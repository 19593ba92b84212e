import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { z } from "zod";
import { consulSkip } from "../../support/consul-program.ts";
import { consulSite, shopPolicy, shopTemplate } from "../../support/consul-site.ts";
import { Consul } from "../../support/consul.ts";
import type { Site } from "../../support/site.ts";

const keys = {
  "db/host": "${{ groups.database.outputs.value }}",
  size: "${{ parameters.size }}",
  "features/list": ["a", { b: true }],
};

describe("keys in Consul as a part of an environment", { skip: consulSkip }, () => {
  let consul: Consul;
  let site: Site;
  before(async () => {
    consul = await Consul.start();
    site = await consulSite(consul, await consul.newToken(shopPolicy));
    await site.register(shopTemplate("1.0.0", keys));
    await site.register(shopTemplate("1.1.0", { "db/host": keys["db/host"], colour: "blue" }));
  });
  after(async () => {
    await site.close();
    await consul.close();
  });

  const made = (name: string) => consul.keys(`shop/${name}/`);

  test("they are made with what other groups delivered, and others use what they deliver", async () => {
    const run = await site.create("first", "shop@1.0.0");
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.deepEqual(await made("first"), {
      "shop/first/db/host": "db.example.com",
      "shop/first/features/list": '["a",{"b":true}]',
      "shop/first/size": "3",
    });
    assert.equal(await site.outside.read("first.web.made"), "shop/first/");
    const step = await site.step(run, "apply:shop/settings");
    assert.deepEqual(
      step.changes.map(({ address, action, after: now }) => [address, action, now]),
      [
        ["shop/first/db/host", "create", "db.example.com"],
        ["shop/first/size", "create", "3"],
        ["shop/first/features/list", "create", '["a",{"b":true}]'],
      ],
    );
    assert.match(JSON.stringify(await site.get("/environments/first/resources")), /consul_key/u);
  });

  test("a change writes only what differs; what is not wanted any more goes", async () => {
    await site.create("changes", "shop@1.0.0");
    const run = await site.update("changes", { parameters: { size: 5 } });
    assert.equal(run.status, "succeeded", run.reason ?? "");
    const { changes } = await site.step(run, "apply:shop/settings");
    assert.deepEqual(changes, [
      { address: "shop/changes/size", action: "update", before: "3", after: "5" },
    ]);
    await consul.put("shop/changes/by-hand", "mine");
    assert.equal((await site.update("changes", { template: "shop@1.1.0" })).status, "succeeded");
    assert.deepEqual(await made("changes"), {
      "shop/changes/by-hand": "mine",
      "shop/changes/colour": "blue",
      "shop/changes/db/host": "db.example.com",
    });
  });

  test("an unchanged group is left alone", async () => {
    await site.create("still", "shop@1.0.0");
    const step = await site.step(await site.update("still", {}), "apply:shop/settings");
    assert.equal(step.status, "skipped");
  });

  test("what another has written is drift, shown and not overwritten; the next update puts it right", async () => {
    await site.create("drifts", "shop@1.0.0");
    await consul.put("shop/drifts/size", "99");
    const refused = await site.update("drifts", { parameters: { size: 4 } });
    assert.equal(refused.status, "failed");
    const { failure } = await site.step(refused, "apply:shop/settings");
    assert.equal(failure?.code, "conflict");
    assert.match(failure.message, /shop\/drifts\/size.*not overwritten/u);
    assert.equal((await made("drifts"))["shop/drifts/size"], "99");
    const drift = await site.drift("drifts");
    const group = drift.groups.find((one) => one.group === "settings");
    assert.equal(group?.drift, "drifted");
    assert.deepEqual(group.changes, [
      { address: "shop/drifts/size", action: "update", before: "99", after: "4" },
    ]);
    assert.equal((await site.update("drifts", {})).status, "succeeded");
    assert.equal((await made("drifts"))["shop/drifts/size"], "4");
    assert.equal((await site.drift("drifts")).drifted, false);
  });

  test("a key that was removed by hand is missing, and is made again", async () => {
    await site.create("loses", "shop@1.0.0");
    await consul.remove("shop/loses/size");
    assert.equal((await site.drift("loses")).drifted, true);
    assert.equal((await site.update("loses", {})).status, "succeeded");
    assert.equal((await made("loses"))["shop/loses/size"], "3");
  });

  test("a key that is somebody else's is never taken over, neither by a create nor by a destroy", async () => {
    await consul.put("shop/taken/size", "theirs");
    const run = await site.create("taken", "shop@1.0.0");
    assert.equal(run.status, "failed");
    const { failure } = await site.step(run, "apply:shop/settings");
    assert.match(failure?.message ?? "", /did not make: shop\/taken\/size\. Nothing was written/u);
    assert.deepEqual(await made("taken"), { "shop/taken/size": "theirs" });
    assert.equal((await site.destroy("taken")).status, "succeeded");
    assert.deepEqual(await made("taken"), { "shop/taken/size": "theirs" });
  });

  test("a destroy removes what it made and leaves the keys of others, and its fence goes with it", async () => {
    await site.create("ends", "shop@1.0.0");
    await consul.put("shop/ends/by-hand", "mine");
    await consul.put("shop/ends/size", "changed by hand");
    // Removed and made anew by somebody else: it is theirs.
    await consul.remove("shop/ends/db/host");
    await consul.put("shop/ends/db/host", "theirs");
    const { id } = await site.environment("ends");
    assert.notDeepEqual(await consul.keys(`glasshouse/fence/${id}/`), {});
    const run = await site.destroy("ends");
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.deepEqual(await made("ends"), {
      "shop/ends/by-hand": "mine",
      "shop/ends/db/host": "theirs",
    });
    assert.deepEqual(await consul.keys(`glasshouse/fence/${id}/`), {});
  });

  test("a saved plan is applied exactly, or is stale when a key has moved", async () => {
    await site.create("plans", "shop@1.0.0");
    const plan = await site.plan("plans", { parameters: { size: 7 } });
    const text = JSON.stringify(await site.get(`/plans/${plan.id}`));
    assert.match(text, /"address":"shop\/plans\/size","action":"update","before":"3","after":"7"/u);
    const apply = async (id: string) =>
      site.settled(await site.command("environment.apply", "plans", { plan: id }));
    await consul.put("shop/plans/size", "12");
    const stale = await apply(plan.id);
    assert.equal(stale.status, "failed");
    const { failure } = await site.step(stale, "apply:shop/settings");
    assert.equal(failure?.code, "plan-stale");
    const anew = await site.plan("plans", { parameters: { size: 8 } });
    assert.equal((await apply(anew.id)).status, "succeeded");
    assert.equal((await made("plans"))["shop/plans/size"], "8");
  });

  test("values and prefixes that Consul does not take are refused in words, before anything is written", async () => {
    await site.register({
      ...shopTemplate("2.0.0", { small: "x", large: "${{ parameters.text }}" }),
      more: { parameters: { text: { type: "string" } } },
    });
    const parameters = { text: "x".repeat(600_000) };
    const run = await site.create("large", "shop@2.0.0", { parameters });
    const { failure } = await site.step(run, "apply:shop/settings");
    assert.match(failure?.message ?? "", /Too large for Consul.*shop\/large\/large/u);
    assert.deepEqual(await made("large"), {});
    const archive = await site.archive(shopTemplate("3.0.0", { "/x": "1" }, { prefix: "shop" }));
    const problem = await site.refused("POST", "/templates", { body: archive });
    const places = z.array(z.object({ place: z.string(), message: z.string() }));
    const [first, second] = places.parse(problem.errors);
    assert.match(first?.message ?? "", /must end with "\/"/u);
    assert.match(second?.message ?? "", /must neither be empty nor begin/u);
    assert.match(first?.place ?? "", /^template\.yaml:\d+:\d+$/u);
  });

  test("health names Consul, and what it counts", async () => {
    const health = JSON.stringify(await site.server.request("GET", "/api/v1/health"));
    assert.match(health, /"name":"consul","status":"up"/u);
  });
});
