import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { z } from "zod";
import { consulSkip } from "../../support/consul-program.ts";
import {
  consulSite,
  consulVariables,
  shopPolicy,
  shopTemplate,
} from "../../support/consul-site.ts";
import { Consul } from "../../support/consul.ts";
import { Site, until } from "../../support/site.ts";

const retry = { attempts: 2, backoff: "100ms" };
const keys = { host: "${{ groups.database.outputs.value }}", size: "${{ parameters.size }}" };

/** The sample with so many keys, whose values the parameter decides. */
function wide(version: string, count: number) {
  const names = Array.from({ length: count }, (_, at) => `k${at}`);
  return shopTemplate(
    version,
    Object.fromEntries(names.map((name) => [name, "${{ parameters.size }}"])),
  );
}

function patient(version: string) {
  const facts = shopTemplate(version, keys);
  const { settings, ...groups } = facts.groups;
  assert.ok(typeof settings === "object");
  return { ...facts, groups: { ...groups, settings: { more: { ...settings.more, retry } } } };
}

describe("a token that may not", { skip: consulSkip }, () => {
  let consul: Consul;
  before(async () => {
    consul = await Consul.start();
  });
  after(() => consul.close());

  async function siteWith(rules: string): Promise<Site> {
    const site = await consulSite(consul, await consul.newToken(rules));
    await site.register(patient("1.0.0"));
    return site;
  }

  test("write keys fails the step with Consul's words, and nothing is written", async (t) => {
    const site = await siteWith('key_prefix "" { policy = "read" }');
    t.after(() => site.close());
    const run = await site.create("denied", "shop");
    assert.equal(run.status, "failed");
    const { failure, attempts } = await site.step(run, "apply:shop/settings");
    assert.match(failure?.message ?? "", /Permission denied.*docs\/consul\.md/u);
    assert.equal(attempts, 2);
    assert.deepEqual(await consul.keys("shop/"), {});
    assert.equal((await site.environment("denied")).status, "deployed-failed");
  });

  test("see keys takes none of them for gone: neither drift nor destroy believes a list without them", async (t) => {
    const site = await consulSite(consul, await consul.newToken(shopPolicy));
    t.after(() => site.close());
    await site.register(patient("1.0.0"));
    await site.create("hidden", "shop");
    const made = await consul.keys("shop/hidden/");
    assert.equal(Object.keys(made).length, 2);
    // To this token Consul answers 404 for the whole prefix.
    const blind = await consul.newToken('key_prefix "glasshouse/" { policy = "write" }');
    await site.server.stop();
    await site.start({ env: consulVariables(consul, blind) });
    const refresh = await site.settled(await site.command("environment.refresh", "hidden"));
    assert.equal(refresh.status, "failed");
    assert.equal((await site.environment("hidden")).drifted, false);
    const destroy = await site.destroy("hidden");
    assert.equal(destroy.status, "failed");
    const { failure } = await site.step(destroy, "destroy:shop/settings");
    assert.match(failure?.message ?? "", /Permission denied/u);
    assert.deepEqual(await consul.keys("shop/hidden/"), made);
    await site.server.stop();
    await site.start({ env: consulVariables(consul, await consul.newToken(shopPolicy)) });
    const again = await site.destroy("hidden");
    assert.equal(again.status, "succeeded", again.reason ?? "");
    assert.deepEqual(await consul.keys("shop/hidden/"), {});
  });

  test("is known to Consul no more changes nothing, and the run goes on when it is replaced in its file", async (t) => {
    const site = await consulSite(consul, "00000000-0000-0000-0000-000000000000");
    t.after(() => site.close());
    await site.register(patient("1.0.0"));
    const failed = await site.create("unknown", "shop");
    const { failure } = await site.step(failed, "apply:shop/settings");
    assert.match(failure?.message ?? "", /403.*ACL not found/u);
    await site.outside.write("token", await consul.newToken(shopPolicy));
    await site.server.stop();
    const file = `file:${site.outside.path("token")}`;
    await site.start({
      env: { ...consulVariables(consul, ""), GLASSHOUSE_CONSUL_TOKEN: file },
    });
    const run = await site.settled(
      await site.ask("POST", `/runs/${failed.id}/retry`, { body: {} }),
    );
    assert.equal(run.status, "succeeded", run.reason ?? "");
    // Replaced while the server runs.
    const revoked = await site.outside.read("token");
    await site.outside.write("token", await consul.newToken(shopPolicy));
    await new Promise((resolve) => {
      setTimeout(resolve, 2_100);
    });
    const { SecretID, AccessorID } = JSON.parse(
      await consul.request("GET", "/v1/acl/token/self", { token: revoked ?? "" }),
    );
    assert.equal(SecretID, revoked);
    await consul.request("DELETE", `/v1/acl/token/${AccessorID}`);
    assert.equal((await site.update("unknown", { parameters: { size: 9 } })).status, "succeeded");
    assert.equal((await consul.keys("shop/unknown/"))["shop/unknown/size"], "9");
  });
});

describe("a server that is killed", { skip: consulSkip }, () => {
  let consul: Consul;
  let token: string;
  before(async () => {
    consul = await Consul.start();
    token = await consul.newToken(shopPolicy);
  });
  after(() => consul.close());

  const dying = (at: string) =>
    consulVariables(consul, token, { env: { GLASSHOUSE_CRASH_AT: at } });

  test("between writing keys and recording them writes none of them twice", async (t) => {
    const site = await Site.open({ env: consulVariables(consul, token) });
    t.after(() => site.close());
    await site.register(patient("1.0.0"));
    await site.server.stop();
    // The command's step is the first one that has acted, the keys' the second.
    await site.start({ env: dying("step.acted:kill:2") });
    const command = await site.ask("POST", "/environments", {
      body: { name: "killed", template: "shop" },
    });
    await site.server.ended;
    const entries = await consul.request("GET", "/v1/kv/shop/killed/?recurse");
    assert.equal(JSON.parse(entries).length, 2);
    await site.start({ env: consulVariables(consul, token) });
    const run = await site.settled(command);
    assert.equal(run.status, "succeeded", run.reason ?? "");
    // Not even an index has moved.
    assert.equal(await consul.request("GET", "/v1/kv/shop/killed/?recurse"), entries);
    assert.equal((await site.update("killed", { parameters: { size: 4 } })).status, "succeeded");
    assert.equal((await site.drift("killed")).drifted, false);
  });

  test("in the middle of many keys makes each of them once", async (t) => {
    const site = await Site.open({ env: consulVariables(consul, token) });
    t.after(() => site.close());
    await site.register(wide("1.0.0", 6_000));
    const command = await site.ask("POST", "/environments", {
      body: { name: "many", template: "shop" },
    });
    const count = async (): Promise<number> => Object.keys(await consul.keys("shop/many/")).length;
    await until(count, (seen) => seen > 0);
    site.server.kill();
    await site.server.ended;
    assert.ok((await count()) < 6_000, "it was done before it could be killed");
    await site.start({ env: consulVariables(consul, token) });
    const run = await site.settled(command);
    assert.equal(run.status, "succeeded", run.reason ?? "");
    const entries = z
      .array(z.object({ CreateIndex: z.number(), ModifyIndex: z.number() }))
      .parse(JSON.parse(await consul.request("GET", "/v1/kv/shop/many/?recurse")));
    assert.equal(entries.length, 6_000);
    assert.ok(entries.every(({ CreateIndex, ModifyIndex }) => CreateIndex === ModifyIndex));
    assert.equal((await site.destroy("many")).status, "succeeded");
    assert.deepEqual(await consul.keys("shop/many/"), {});
  });

  test("at any of its boundaries ends with every key there, and none written twice", async (t) => {
    const site = await Site.open({ env: consulVariables(consul, token) });
    t.after(() => site.close());
    await site.register(patient("1.0.0"));
    // The step of the command passes each of the step's boundaries first.
    const boundaries = [
      "step.prepared:kill:2",
      "state.blobWritten",
      "step.recording:kill:2",
      "step.recorded:kill:2",
    ];
    for (const [at, boundary] of boundaries.entries()) {
      await site.server.stop();
      await site.start({ env: dying(boundary) });
      const name = `boundary-${at}`;
      const command = await site.ask("POST", "/environments", { body: { name, template: "shop" } });
      await site.server.ended;
      await site.start({ env: consulVariables(consul, token) });
      const run = await site.settled(command);
      assert.equal(run.status, "succeeded", `${boundary}: ${run.reason ?? ""}`);
      const entries = z
        .array(z.object({ CreateIndex: z.number(), ModifyIndex: z.number() }))
        .parse(JSON.parse(await consul.request("GET", `/v1/kv/shop/${name}/?recurse`)));
      assert.equal(entries.length, 2);
      assert.ok(entries.every(({ CreateIndex, ModifyIndex }) => CreateIndex === ModifyIndex));
    }
  });

  test("between removing keys and recording it ends with all of them gone, and those of others there", async (t) => {
    const site = await Site.open({ env: consulVariables(consul, token) });
    t.after(() => site.close());
    await site.register(patient("1.0.0"));
    await site.create("removed", "shop");
    await consul.put("shop/removed/by-hand", "mine");
    await site.server.stop();
    await site.start({ env: dying("step.acted:kill:2") });
    const command = await site.ask("DELETE", "/environments/removed");
    await site.server.ended;
    await site.start({ env: consulVariables(consul, token) });
    const run = await site.settled(command);
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.deepEqual(await consul.keys("shop/removed/"), { "shop/removed/by-hand": "mine" });
    const { id } = await site.environment("removed");
    assert.deepEqual(await consul.keys(`glasshouse/fence/${id}/`), {});
  });
});

describe("a Consul that goes away", { skip: consulSkip }, () => {
  test("makes work pause with a reason, and go on when it is back", async (t) => {
    const consul = await Consul.start();
    t.after(() => consul.close());
    const site = await consulSite(consul, await consul.newToken(shopPolicy));
    t.after(() => site.close());
    await site.register(patient("1.0.0"));
    await consul.kill();
    const command = await site.ask("POST", "/environments", {
      body: { name: "waits", template: "shop" },
    });
    const run = await site.run(command.run);
    const step = await until(
      () => site.step(run, "apply:shop/settings"),
      ({ reason }) => reason?.includes("tried again") === true,
    );
    assert.match(step.reason ?? "", /Consul at .* cannot be reached: connection refused/u);
    assert.equal(step.attempts, 0);
    const health = JSON.stringify(await site.server.request("GET", "/api/v1/health"));
    assert.match(health, /"name":"consul","status":"unreachable"/u);
    consul.run();
    const ended = await site.settled(command);
    assert.equal(ended.status, "succeeded", ended.reason ?? "");
    assert.equal(Object.keys(await consul.keys("shop/waits/")).length, 2);
  });

  test("or does not answer any more is given up in time, and work goes on when it does", async (t) => {
    const consul = await Consul.start();
    t.after(() => consul.close());
    const site = await consulSite(consul, await consul.newToken(shopPolicy));
    t.after(() => site.close());
    await site.register(patient("1.0.0"));
    await site.create("silent", "shop");
    consul.pause();
    const health = JSON.stringify(await site.server.request("GET", "/api/v1/health"));
    assert.match(
      health,
      /"name":"consul","status":"unreachable","detail":"Consul did not answer within 2\.5 s/u,
    );
    const command = await site.ask("PATCH", "/environments/silent", {
      body: { parameters: { size: 8 } },
    });
    const run = await site.run(command.run);
    const { reason, attempts } = await until(
      () => site.step(run, "apply:shop/settings"),
      (step) => step.reason?.includes("tried again") === true,
    );
    assert.match(reason ?? "", /did not answer within 10 s/u);
    assert.equal(attempts, 0);
    consul.resume();
    const ended = await site.settled(command);
    assert.equal(ended.status, "succeeded", ended.reason ?? "");
    assert.equal((await consul.keys("shop/silent/"))["shop/silent/size"], "8");
  });

  test("or loses its leader in the middle costs no key and makes none twice", async (t) => {
    const consul = await Consul.start({ servers: 3 });
    t.after(() => consul.close());
    const leader = await consul.leader();
    const follower = (leader + 1) % 3;
    const token = await consul.newToken(shopPolicy);
    const site = await consulSite(consul, token, { url: consul.url(follower) });
    t.after(() => site.close());
    await site.register(wide("1.0.0", 4_000));
    const command = await site.ask("POST", "/environments", {
      body: { name: "many", template: "shop" },
    });
    const count = async (): Promise<number> =>
      Object.keys(await consul.keys("shop/many/").catch(() => ({}))).length;
    await until(count, (seen) => seen > 0);
    await consul.kill(leader);
    const run = await site.settled(command);
    assert.equal(run.status, "succeeded", run.reason ?? "");
    const made = JSON.parse(
      await consul.request("GET", "/v1/kv/shop/many/?recurse", { at: follower }),
    );
    assert.equal(made.length, 4_000);
    const twice = made.filter(
      (one: { readonly CreateIndex: number; readonly ModifyIndex: number }) =>
        one.CreateIndex !== one.ModifyIndex,
    );
    assert.deepEqual(twice, []);
    assert.equal((await site.drift("many")).drifted, false);
    assert.equal((await site.destroy("many")).status, "succeeded");
  });
});

describe("two datacenters", { skip: consulSkip }, () => {
  let consul: Consul;
  let site: Site;
  before(async () => {
    consul = await Consul.start({ datacenters: ["dc1", "dc2"] });
    site = await consulSite(consul, await consul.newToken(shopPolicy));
    await site.register(shopTemplate("1.0.0", keys));
    await site.register(shopTemplate("2.0.0", keys, { datacenter: "dc2" }));
  });
  after(async () => {
    await site.close();
    await consul.close();
  });

  const here = () => consul.keys("shop/two/", "dc1");
  const there = () => consul.keys("shop/two/", "dc2");

  test("keys go to the one that is named, move when another is named, and are watched and removed there", async () => {
    assert.equal((await site.create("two", "shop@1.0.0")).status, "succeeded");
    assert.deepEqual([Object.keys(await here()).length, Object.keys(await there()).length], [2, 0]);
    const moved = await site.update("two", { template: "shop@2.0.0" });
    assert.equal(moved.status, "succeeded", moved.reason ?? "");
    assert.deepEqual([Object.keys(await here()).length, Object.keys(await there()).length], [0, 2]);
    assert.deepEqual(await consul.keys("glasshouse/", "dc1"), {});
    await consul.put("shop/two/size", "9", "dc2");
    const drift = await site.drift("two");
    assert.match(JSON.stringify(drift.groups), /"address":"dc2:shop\/two\/size"/u);
    assert.equal((await site.update("two", {})).status, "succeeded");
    assert.equal((await there())["shop/two/size"], "3");
    assert.equal((await site.destroy("two")).status, "succeeded");
    assert.deepEqual([await here(), await there()], [{}, {}]);
    assert.deepEqual(await consul.keys("glasshouse/", "dc2"), {});
  });

  test("one that is away pauses only what needs it", async () => {
    await consul.kill(1);
    const waits = await site.ask("POST", "/environments", {
      body: { name: "far", template: "shop@2.0.0" },
    });
    assert.equal((await site.create("near", "shop@1.0.0")).status, "succeeded");
    const run = await site.run(waits.run);
    await until(
      () => site.step(run, "apply:shop/settings"),
      ({ reason }) => reason?.includes("tried again") === true,
    );
    consul.run(1);
    const ended = await site.settled(waits);
    assert.equal(ended.status, "succeeded", ended.reason ?? "");
  });
});
