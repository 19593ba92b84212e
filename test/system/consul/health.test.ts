import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { z } from "zod";
import { graphView } from "../../../src/contract/schemas.ts";
import { checkView } from "../../../src/contract/rest-environment.ts";
import { resourceView } from "../../../src/contract/rest-resource.ts";
import { damping } from "../../../src/engine/followed-check.ts";
import { consulSkip } from "../../support/consul-program.ts";
import { consulSite } from "../../support/consul-site.ts";
import { Consul } from "../../support/consul.ts";
import { metricOf } from "../../support/metrics.ts";
import { until, type Site } from "../../support/site.ts";

const listOf = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item) });

describe("health after deployment, by what Consul says", { skip: consulSkip }, () => {
  let consul: Consul;
  let token: string;
  let site: Site;
  before(async () => {
    consul = await Consul.start();
    // The policy of the page, with the services that these tests look at.
    const page = await readFile("docs/samples/consul-policy.hcl", "utf8");
    token = await consul.newToken(page.replace('service "consul"', 'service_prefix "app"'));
  });
  // One each: what a test that failed has left would be followed beside what the next one counts.
  beforeEach(async () => {
    site = await consulSite(consul, token);
  });
  afterEach(() => site.close());
  after(() => consul.close());

  const say = async (service: string, status: "pass" | "fail", note = "told") =>
    consul.request("PUT", `/v1/agent/check/${status}/check-${service}?note=${note}`);

  async function register(service: string): Promise<void> {
    const check = { CheckID: `check-${service}`, Name: `state of ${service}`, TTL: "30m" };
    const body = { Name: service, ID: service, Check: { ...check, Status: "passing" } };
    await consul.request("PUT", "/v1/agent/service/register", { body });
    await say(service, "pass");
  }

  /** An environment with a check of the service on a resource, and one on the environment. */
  async function deployed(name: string, service: string): Promise<void> {
    const consulCheck = { consul: { service }, within: "30s" };
    const group = {
      value: service,
      more: { resources: { server: { checks: { up: consulCheck } } } },
    };
    await site.register({ name, groups: { web: group, other: "plain" } });
    assert.equal((await site.create(name, name)).status, "succeeded");
  }

  const healthEvents = async (name: string) => {
    const events = await site.events(name);
    const last = events.findLastIndex(({ runid }) => runid !== undefined);
    return events.slice(last + 1).map(({ type }) => type.replace(/^glasshouse\./u, ""));
  };

  test("a service that fails makes resource, group and environment fail within moments, and well again", async () => {
    await register("app-web");
    await deployed("web", "app-web");
    await followed(1);
    await say("app-web", "fail", "broken");
    const failed = await site.environmentWhen("web", ({ status }) => status === "deployed-failed");
    assert.match(failed.reason ?? "", /^group web: check web\.server\.up \(app-web\): 0 of 1/u);
    assert.match(failed.reason ?? "", /state of app-web on dc1-0: broken/u);
    assert.equal(failed.failure?.code, "unhealthy");
    const [check] = listOf(checkView).parse(await site.get("/environments/web/checks")).items;
    assert.deepEqual([check?.status, check?.lost], ["failing", null]);
    const [resource] = listOf(resourceView).parse(
      await site.get("/environments/web/resources"),
    ).items;
    assert.equal(resource?.health?.status, "unhealthy");
    const { nodes } = graphView.parse(await site.get("/environments/web/graph"));
    assert.deepEqual(
      nodes.map(({ id, health }) => [id, health?.status ?? null]),
      [
        ["web", "unhealthy"],
        ["other", null],
        ["web.server", "unhealthy"],
      ],
    );
    assert.deepEqual(await healthEvents("web"), ["resource.unhealthy", "environment.failed"]);
    await say("app-web", "pass");
    const ok = await site.environmentWhen("web", ({ status }) => status === "deployed-ok");
    assert.deepEqual([ok.reason, ok.failure], [null, null]);
    assert.deepEqual((await healthEvents("web")).slice(2), ["resource.healthy", "environment.ok"]);
    assert.equal((await site.destroy("web")).status, "succeeded");
  });

  test("a service that is gone fails what looks at it, and a node's checks count where they are named", async () => {
    await register("app-gone");
    const node = { node: "${{ parameters.node }}" };
    const parameters = { node: { type: "string", default: "dc1-0" } };
    const checks = {
      gone: { consul: { service: "app-gone" }, within: "30s" },
      machine: { consul: node, within: "30s" },
    };
    await site.register({ name: "two", groups: { a: "x" }, more: { parameters, checks } });
    assert.equal((await site.create("two", "two")).status, "succeeded");
    await followed(2);
    await consul.request("PUT", "/v1/agent/service/deregister/app-gone");
    const failed = await site.environmentWhen("two", ({ status }) => status === "deployed-failed");
    assert.match(failed.reason ?? "", /check gone \(app-gone\): Consul knows no instance/u);
    await register("app-gone");
    await site.environmentWhen("two", ({ status }) => status === "deployed-ok");
    const check = { ID: "disk", Name: "disk", TTL: "30m", Status: "critical" };
    await consul.request("PUT", "/v1/agent/check/register", { body: check });
    try {
      // They count for the services on it too: two things are told of at about the same time, and one of them is first.
      const told = [
        /check gone \(app-gone\): 0 of 1 instance passes; disk on dc1-0/u,
        /check machine \(node dc1-0\): 1 of 2 checks pass; disk/u,
      ];
      const ill = await site.environmentWhen("two", ({ reason }) =>
        told.every((each) => each.test(reason ?? "")),
      );
      assert.equal(ill.status, "deployed-failed");
    } finally {
      // Nothing on this node passes with it.
      await consul.request("PUT", "/v1/agent/check/deregister/disk");
    }
    await site.environmentWhen("two", ({ status }) => status === "deployed-ok");
    assert.equal((await site.destroy("two")).status, "succeeded");
  });

  test("a service that comes and goes all the time is told of a few times, and as it is in the end", async () => {
    await register("app-flap");
    await deployed("flap", "app-flap");
    await followed(1);
    const beganAtMs = performance.now();
    for (let turns = 0; turns < 60; turns += 1) {
      await say("app-flap", turns % 2 === 0 ? "fail" : "pass");
      await sleep(60);
    }
    await say("app-flap", "fail");
    await site.environmentWhen("flap", ({ status }) => status === "deployed-failed", 30_000);
    const told = (await healthEvents("flap")).filter((type) => type.startsWith("environment."));
    const most = damping.burst + Math.ceil((performance.now() - beganAtMs) / damping.everyMs);
    assert.ok(told.length <= most, `${told.length} events, where ${most} may be`);
    assert.equal((await site.destroy("flap")).status, "succeeded");
  });

  test("a Consul that is away fails nothing: what was seen last stays, with the reason, and it goes on by itself", async () => {
    await register("app-kept");
    await deployed("kept", "app-kept");
    await followed(1);
    await consul.kill();
    try {
      const kept = await site.environmentWhen("kept", ({ reason }) => reason !== null);
      assert.equal(kept.status, "deployed-ok");
      assert.match(kept.reason ?? "", /as last seen: Consul cannot be asked/u);
      const [check] = listOf(checkView).parse(await site.get("/environments/kept/checks")).items;
      assert.deepEqual([check?.status, check?.detail], ["passing", "1 of 1 instance passes"]);
      assert.match(check?.lost ?? "", /Consul cannot be asked/u);
    } finally {
      consul.run();
      await consul.ready();
    }
    await site.environmentWhen("kept", ({ reason }) => reason === null);
    await say("app-kept", "fail");
    await site.environmentWhen("kept", ({ status }) => status === "deployed-failed");
    await say("app-kept", "pass");
    await site.environmentWhen("kept", ({ status }) => status === "deployed-ok");
    assert.deepEqual(
      (await healthEvents("kept")).filter((type) => type.startsWith("environment.")),
      ["ok", "ok", "failed", "ok"].map((type) => `environment.${type}`),
    );
    assert.equal((await site.destroy("kept")).status, "succeeded");
  });

  test("a server that comes later has what happened while it was away", async () => {
    await register("app-later");
    await deployed("later", "app-later");
    site.server.kill();
    await site.server.ended;
    await say("app-later", "fail");
    await site.start();
    await site.environmentWhen("later", ({ status }) => status === "deployed-failed");
    assert.equal((await site.destroy("later")).status, "succeeded");
  });

  /** Waits until so many checks are followed. */
  async function followed(count: number): Promise<void> {
    await until(
      () => metricOf(site.server, "glasshouse_checks_followed", { kind: "consul" }),
      (seen) => seen === count,
    );
  }
});
