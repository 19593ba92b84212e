import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { z } from "zod";
import { consulSkip } from "../../support/consul-program.ts";
import { consulVariables } from "../../support/consul-site.ts";
import { Consul } from "../../support/consul.ts";
import { freePorts } from "../../support/ports.ts";
import { TestServer, testDirectory } from "../../support/server.ts";
import { Site, until } from "../../support/site.ts";

const policy = `
service "glasshouse" { policy = "write" }
service "glasshouse-sidecar-proxy" { policy = "write" }
node_prefix "" { policy = "read" }
`;
const sidecarSchema = z.object({
  Kind: z.string(),
  Port: z.number(),
  Proxy: z.object({
    DestinationServiceName: z.string(),
    LocalServicePort: z.number(),
    Upstreams: z.array(z.object({ DestinationName: z.string(), LocalBindPort: z.number() })),
  }),
});
const servicesSchema = z.record(z.string(), z.object({ Kind: z.string().optional() }));
const checksSchema = z.array(
  z.object({ ServiceID: z.string(), Name: z.string(), Status: z.string() }),
);

describe("a server in Consul's service mesh", { skip: consulSkip }, () => {
  let consul: Consul;
  let site: Site;
  let id: string;
  let ports: readonly number[];
  before(async () => {
    consul = await Consul.start({ mesh: true });
    ports = await freePorts(2);
    const env = {
      GLASSHOUSE_CONSUL_REGISTER: "true",
      GLASSHOUSE_CONSUL_SIDECAR_REGISTER: "true",
      GLASSHOUSE_CONSUL_SIDECAR_PORT: String(ports[0]),
      GLASSHOUSE_CONSUL_SIDECAR_UPSTREAMS: "postgres=15432",
    };
    const token = await consul.newToken(policy);
    site = await Site.open({ env: consulVariables(consul, token, { env }) });
    id = `glasshouse-${new URL(site.server.url).host.replace(":", "-")}`;
  });
  after(async () => {
    await site.close();
    await consul.close();
  });

  const services = async () =>
    Object.keys(
      servicesSchema.parse(JSON.parse(await consul.request("GET", "/v1/agent/services"))),
    );
  const checks = async () => {
    const path = "/v1/health/checks/glasshouse-sidecar-proxy";
    return checksSchema.parse(JSON.parse(await consul.request("GET", path)));
  };

  test("has a sidecar beside it, with the policy of the page, and with checks of its own", async () => {
    await until(services, (known) => known.includes(`${id}-sidecar-proxy`), 20_000);
    const path = `/v1/agent/service/${id}-sidecar-proxy`;
    const sidecar = sidecarSchema.parse(JSON.parse(await consul.request("GET", path)));
    assert.deepEqual(sidecar, {
      Kind: "connect-proxy",
      Port: ports[0],
      Proxy: {
        DestinationServiceName: "glasshouse",
        LocalServicePort: Number(new URL(site.server.url).port),
        Upstreams: [{ DestinationName: "postgres", LocalBindPort: 15_432 }],
      },
    });
    const names = (await checks()).map(({ Name }) => Name).toSorted();
    assert.deepEqual(names, ["Connect Sidecar Aliasing " + id, "Connect Sidecar Listening"]);
  });

  test("is reached through its sidecar by who the mesh lets in, and by nobody else", async () => {
    consul.program("connect", "proxy", "-sidecar-for", id);
    const upstream = `glasshouse:${ports[1]}`;
    consul.program("connect", "proxy", "-service", "caller", "-upstream", upstream);
    const call = async (): Promise<number> => {
      const url = `http://127.0.0.1:${ports[1]}/livez`;
      const signal = AbortSignal.timeout(2_000);
      return fetch(url, { signal }).then(
        ({ status }) => status,
        () => 0,
      );
    };
    await until(
      checks,
      (all) => all.length === 2 && all.every(({ Status }) => Status === "passing"),
    );
    assert.equal(await call(), 0);
    const intention = { Action: "allow" };
    const path = "/v1/connect/intentions/exact?source=caller&destination=glasshouse";
    await consul.request("PUT", path, { body: intention });
    await until(call, (status) => status === 200);
  });

  test("leaves with its sidecar", async () => {
    await site.server.stop();
    assert.deepEqual(await services(), []);
  });

  test("does not start with a sidecar and without itself, and says why", async () => {
    const { path, remove } = await testDirectory();
    const env = { ...consulVariables(consul, "x"), GLASSHOUSE_CONSUL_SIDECAR_REGISTER: "true" };
    await assert.rejects(
      TestServer.start({ data: path, env }),
      /consul\.sidecar\.register is set and consul\.register is not/u,
    );
    await remove();
  });
});
