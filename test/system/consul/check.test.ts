import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { z } from "zod";
import { consulChecker } from "../../../src/adapters/checks/consul/index.ts";
import { checkView } from "../../../src/contract/rest-environment.ts";
import { testChecker } from "../../../src/testing/check-contract.ts";
import { consulClient } from "../../support/consul-client.ts";
import { consulSkip } from "../../support/consul-program.ts";
import { consulSite } from "../../support/consul-site.ts";
import { Consul } from "../../support/consul.ts";
import { until, type Site } from "../../support/site.ts";

describe("checks by Consul", { skip: consulSkip }, () => {
  let consul: Consul;
  let site: Site;
  const silent = createServer((request, response) => {
    // Answers what the checker asks first, never what is about this service.
    if (request.url?.includes("/silent") === false) response.end("[]");
  });
  before(async () => {
    consul = await Consul.start({ datacenters: ["dc1", "dc2"] });
    await register("up", "passing", ["primary"]);
    await register("down", "critical", []);
    const rules = 'service_prefix "" { policy = "read" }\nnode_prefix "" { policy = "read" }';
    site = await consulSite(consul, await consul.newToken(rules));
  });
  after(async () => {
    silent.close();
    await site.close();
    await consul.close();
  });

  /** An instance of the service in the second datacenter, whose check says this until it is told anew. */
  async function register(name: string, status: string, tags: readonly string[]): Promise<void> {
    const check = {
      CheckID: `check-${name}`,
      Name: `state of ${name}`,
      TTL: "10m",
      Status: status,
    };
    const service = { Name: name, ID: name, Tags: tags, Check: check };
    await consul.request("PUT", "/v1/agent/service/register", { at: 1, body: service });
    await until(
      () => consul.request("GET", `/v1/health/service/${name}?dc=dc2`),
      (text) => text.includes(`"${status}"`),
    );
  }

  // The address is known only once the servers run.
  const real = () => consulChecker(consulClient({ url: consul.url(), token: consul.token }));
  const deaf = async () => {
    if (!silent.listening)
      await new Promise<void>((resolve) => {
        silent.listen(0, "127.0.0.1", resolve);
      });
    const address = silent.address();
    const port = typeof address === "object" ? address?.port : 0;
    return consulChecker(consulClient({ url: `http://127.0.0.1:${port}`, token: null }));
  };
  describe("keep the contract", () => {
    testChecker(
      {
        kind: "consul",
        check: async (seen, limits) => {
          const isSilent =
            seen.kind === "consul" && "service" in seen.of && seen.of.service === "silent";
          const checker = await (isSilent ? deaf() : real());
          return checker.check(seen, limits);
        },
      },
      async () => ({
        healthy: target("up"),
        unhealthy: target("down"),
        silent: target("silent"),
      }),
    );

    test("only instances with the tag count, and one that is not known is not healthy", async () => {
      const look = async (seen: ReturnType<typeof target>) =>
        (await real()).check(seen, { timeoutMs: 5_000, signal: new AbortController().signal });
      const healthy = await look(target("up", { tag: "primary" }));
      assert.deepEqual(healthy, { healthy: true, detail: "1 of 1 instance passes" });
      assert.equal((await look(target("up", { tag: "other" }))).healthy, false);
      assert.match((await look(target("nobody"))).detail, /knows no instance/u);
      const { detail } = await look(target("down"));
      assert.match(detail, /0 of 1 instance passes; state of down on dc2-0/u);
    });

    test("without a Consul every look says how to name one", async () => {
      const limits = { timeoutMs: 100, signal: new AbortController().signal };
      const { healthy, detail } = await (await consulChecker(null)).check(target("up"), limits);
      assert.deepEqual([healthy, detail.includes("consul.address")], [false, true]);
    });
  });

  test("an environment is validating until Consul finds its service healthy, and is looked at again on demand", async () => {
    await site.register({
      name: "checked",
      groups: { a: "shop" },
      more: {
        checks: {
          shop: {
            consul: { service: "${{ groups.a.outputs.value }}", datacenter: "dc2", tag: "v1" },
            within: "60s",
          },
        },
      },
    });
    await register("shop", "critical", ["v1"]);
    const command = await site.ask("POST", "/environments", {
      body: { name: "checked", template: "checked" },
    });
    await site.environmentWhen("checked", ({ status }) => status === "deployed-validating");
    const checks = async () =>
      z.object({ items: z.array(checkView) }).parse(await site.get("/environments/checked/checks"))
        .items;
    const [seen] = await until(checks, ([first]) => first?.status === "failing");
    assert.equal(seen?.target, "v1.shop@dc2");
    assert.match(seen.detail, /0 of 1 instance passes; state of shop/u);
    await consul.request("PUT", "/v1/agent/check/pass/check-shop", { at: 1 });
    assert.equal((await site.settled(command)).status, "succeeded");
    assert.equal((await site.environment("checked")).status, "deployed-ok");
    await consul.request("PUT", "/v1/agent/check/fail/check-shop?note=broken", { at: 1 });
    await until(
      () => consul.request("GET", "/v1/health/service/shop?dc=dc2"),
      (text) => text.includes('"critical"'),
    );
    const validate = await site.command("environment.validate", "checked");
    await until(checks, ([first]) => first?.status === "failing");
    await consul.request("PUT", "/v1/agent/check/pass/check-shop", { at: 1 });
    assert.equal((await site.settled(validate)).status, "succeeded");
  });
});

function target(service: string, more: { readonly tag?: string } = {}) {
  const { tag = null } = more;
  return { kind: "consul" as const, of: { service, tag }, datacenter: "dc2" };
}
