import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { z } from "zod";
import { consulSkip } from "../../support/consul-program.ts";
import { consulVariables } from "../../support/consul-site.ts";
import { Consul } from "../../support/consul.ts";
import { Site, until } from "../../support/site.ts";
import { TlsSite } from "../../support/tls-site.ts";

const policy = 'service "glasshouse" { policy = "write" }\nnode_prefix "" { policy = "read" }';
const known = z.array(
  z.object({
    Service: z.object({ ID: z.string(), Tags: z.array(z.string()), Port: z.number() }),
    Checks: z.array(z.object({ Name: z.string(), Status: z.string() })),
  }),
);

describe("a server in Consul", { skip: consulSkip }, () => {
  let consul: Consul;
  let site: Site;
  before(async () => {
    consul = await Consul.start();
    const token = await consul.newToken(policy);
    const env = { GLASSHOUSE_CONSUL_REGISTER: "true" };
    site = await Site.open({ env: consulVariables(consul, token, { env }) });
  });
  after(async () => {
    await site.close();
    await consul.close();
  });

  const instances = async () =>
    known.parse(JSON.parse(await consul.request("GET", "/v1/health/service/glasshouse")));
  test("is found with its tags once it takes requests, with exactly the policy of the page", async () => {
    const [instance] = await until(instances, passing, 20_000);
    assert.deepEqual(instance?.Service.Tags.slice(1), ["api", "worker"]);
    assert.match(instance.Service.Tags[0] ?? "", /^version-\d/u);
    assert.equal(instance.Service.Port, Number(new URL(site.server.url).port));
  });

  test("comes back by itself when it was taken out, at once", async () => {
    const [instance] = await until(instances, passing, 20_000);
    // The first registration is recent: it is told anew only after a while.
    await new Promise((resolve) => {
      setTimeout(resolve, 2_100);
    });
    const path = `/v1/agent/service/deregister/${instance?.Service.ID ?? ""}`;
    await consul.request("PUT", path);
    await until(instances, (seen) => seen.length === 1, 5_000);
  });

  test("survives a Consul that goes away, and is known again after it", async () => {
    await consul.kill();
    const waits = await site.server.request("GET", "/api/v1/version");
    assert.ok(waits);
    consul.run();
    await consul.ready();
    await until(instances, passing, 30_000);
  });

  test("leaves cleanly", async () => {
    await until(instances, passing, 20_000);
    await site.server.stop();
    assert.deepEqual(await instances(), []);
  });
});

test("a server that speaks TLS is asked by HTTPS", { skip: consulSkip }, async () => {
  const consul = await Consul.start();
  const env = consulVariables(consul, await consul.newToken(policy), {
    env: { GLASSHOUSE_CONSUL_REGISTER: "true" },
  });
  const at = await TlsSite.open(({ authority }) => ({
    // Consul shows none, and needs none for the probe.
    env: { ...env, GLASSHOUSE_TLS_CLIENT_CA: authority },
  }));
  try {
    const checks = z.array(z.object({ Checks: z.array(z.object({ Output: z.string() })) }));
    const path = "/v1/health/service/glasshouse";
    const seen = await until(
      async () => await consul.request("GET", path),
      (text) => passing(known.parse(JSON.parse(text))),
      20_000,
    );
    const outputs = checks.parse(JSON.parse(seen)).flatMap(({ Checks }) => Checks);
    assert.ok(outputs.some(({ Output }) => /HTTP GET https:\S+\/readyz: 200/u.test(Output)));
  } finally {
    await at.close();
    await consul.close();
  }
});

function passing(seen: z.output<typeof known>): boolean {
  const [instance] = seen;
  return seen.length === 1 && instance?.Checks.every(({ Status }) => Status === "passing") === true;
}
