import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { readDirectory } from "../../../src/adapters/sources/directory/index.ts";
import { pack } from "../../../src/adapters/sources/archive/index.ts";
import { environmentView } from "../../../src/contract/rest-environment.ts";
import { Cluster, type Replica } from "../../support/cluster.ts";
import { consulSkip } from "../../support/consul-program.ts";
import { consulVariables } from "../../support/consul-site.ts";
import { Consul } from "../../support/consul.ts";
import { metricOf } from "../../support/metrics.ts";
import { postgresSkip, TestPostgres } from "../../support/postgres.ts";
import { commandSchema, type TestServer } from "../../support/server.ts";
import { until } from "../../support/site.ts";

/** So many that a share of none, which chance may give, is not to be seen. */
const environments = Array.from({ length: 16 }, (_, at) => `watched-${at}`);

suite("health that several servers follow", { skip: postgresSkip || consulSkip }, () => {
  let postgres: TestPostgres;
  let consul: Consul;
  let cluster: Cluster;
  before(async () => {
    [postgres, consul] = await Promise.all([TestPostgres.start(), Consul.start()]);
    cluster = await startCluster(postgres, consul);
  });
  after(async () => {
    await cluster.close();
    await Promise.all([postgres.remove(), consul.close()]);
  });

  const say = async (service: string, status: "pass" | "fail") =>
    consul.request("PUT", `/v1/agent/check/${status}/check-${service}`);

  test("is shared among them, and what a killed one followed the other follows from then on, with what it missed", async () => {
    for (const name of environments) {
      const check = { CheckID: `check-${name}`, Name: name, TTL: "30m", Status: "passing" };
      const body = { Name: name, ID: name, Check: check };
      await consul.request("PUT", "/v1/agent/service/register", { body });
    }
    await deployAll(cluster);
    const [first, second] = cluster.replicas;
    assert.ok(first !== undefined && second !== undefined);
    await until(
      async () => [await followedBy(first), await followedBy(second)],
      ([a = 0, b = 0]) => a > 0 && b > 0 && a + b === environments.length,
    );
    await first.kill();
    for (const name of environments) await say(name, "fail");
    const left = cluster.any;
    for (const name of environments)
      await until(
        () => statusOf(left, name),
        (status) => status === "deployed-failed",
      );
    assert.equal(await followedBy(second), environments.length);
    await first.start();
    await until(
      async () => [await followedBy(first), await followedBy(second)],
      ([a = 0, b = 0]) => a > 0 && b > 0 && a + b === environments.length,
    );
    for (const name of environments) await say(name, "pass");
    for (const name of environments)
      await until(
        () => statusOf(left, name),
        (status) => status === "deployed-ok",
      );
    assert.deepEqual(await turns(left), Object.fromEntries(environments.map((e) => [e, 1])));
  });
});

async function startCluster(postgres: TestPostgres, consul: Consul): Promise<Cluster> {
  const address = new URL(postgres.url(await postgres.createDatabase()));
  const token = await consul.newToken(
    'node_prefix "" { policy = "read" }\nservice_prefix "" { policy = "read" }',
  );
  const cluster = await Cluster.prepare({
    replicas: 2,
    store: {
      port: Number(address.port),
      url: (port) => Object.assign(new URL(address), { port: String(port) }).href,
    },
    env: { GLASSHOUSE_ENGINE_LEASE: "4s", ...consulVariables(consul, token) },
  });
  await cluster.start();
  return cluster;
}

/** An environment for each service, with a check of it. */
async function deployAll(cluster: Cluster): Promise<void> {
  const folder = join(cluster.directory, "watched");
  await mkdir(folder);
  const group =
    "groups:\n  web:\n    executor: command\n    with: { create: ['true'], destroy: ['true'] }\n";
  const check = "checks:\n  up: { consul: { service: '${{ environment.name }}' }, within: 30s }\n";
  await writeFile(
    join(folder, "template.yaml"),
    `apiVersion: glasshouse/v1\nkind: Template\nname: watched\nversion: 1.0.0\n${group}${check}`,
  );
  const archive = new Uint8Array(await pack((await readDirectory(folder)).files));
  const server = cluster.any;
  await server.request("POST", "/api/v1/templates", archive);
  for (const name of environments) {
    const body = { name, template: "watched" };
    const { run } = commandSchema.parse(await server.request("POST", "/api/v1/environments", body));
    assert.equal((await server.settled(run ?? "")).status, "succeeded");
  }
}

async function statusOf(server: TestServer, name: string): Promise<string> {
  return environmentView.parse(await server.request("GET", `/api/v1/environments/${name}`)).status;
}

/** Checks that it follows; 0 while it is down. */
async function followedBy({ server }: Replica): Promise<number> {
  if (server === null) return 0;
  return (await metricOf(server, "glasshouse_checks_followed", { kind: "consul" })) ?? 0;
}

/** How often each environment was told to have failed. */
async function turns(server: TestServer): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  for (const name of environments) {
    const path = `/api/v1/environments/${name}/events?limit=500`;
    const text = JSON.stringify(await server.request("GET", path));
    counts[name] = text.split('"type":"environment.failed"').length - 1;
  }
  return counts;
}
