import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { after, before, describe, test } from "node:test";
import { z } from "zod";
import { BusClient } from "../../support/bus-client.ts";
import { consulSkip } from "../../support/consul-program.ts";
import { consulVariables } from "../../support/consul-site.ts";
import { Consul } from "../../support/consul.ts";
import { postgresSkip, TestPostgres } from "../../support/postgres.ts";
import { TcpProxy } from "../../support/proxy.ts";
import { Rabbitmq, rabbitmqSkip } from "../../support/rabbitmq.ts";
import { testDirectory } from "../../support/server.ts";
import { Site, until } from "../../support/site.ts";
import { Vault } from "../../support/vault.ts";
import { vaultSkip } from "../../support/vault-program.ts";
import { newKeyFile } from "../../support/which-store.ts";

const skip = [consulSkip, postgresSkip, rabbitmqSkip, vaultSkip].find((why) => why !== false);
const policy = 'service_prefix "" { policy = "read" }\nnode_prefix "" { policy = "read" }';

describe("what the server needs, found by its name in Consul", { skip: skip ?? false }, () => {
  let consul: Consul;
  let postgres: TestPostgres;
  let standby: TestPostgres;
  let broker: Rabbitmq;
  let vault: Vault;
  let vaultDoor: TcpProxy;
  let site: Site;
  let client: BusClient;
  let env: Readonly<Record<string, string | undefined>>;
  let keys: Awaited<ReturnType<typeof testDirectory>>;
  before(async () => {
    [consul, postgres, broker, vault] = await Promise.all([
      Consul.start(),
      TestPostgres.start({ password: "not shown" }),
      Rabbitmq.start({ nodes: 3 }),
      Vault.start(),
    ]);
    standby = await postgres.standby();
    vaultDoor = await TcpProxy.open(vault.port);
    await register("db", postgres.port, standby.port);
    await register("queue", broker.portOf(0), broker.portOf(1), broker.portOf(2));
    await register("vault", vault.port, vaultDoor.port);
    const database = await postgres.createDatabase();
    keys = await testDirectory();
    const url = new URL(postgres.url(database));
    const addresses = {
      GLASSHOUSE_STORE_URL: `postgres://${url.username}@consul:db/${database}`,
      GLASSHOUSE_STORE_PASSWORD: "env:TEST_DB_PASSWORD",
      TEST_DB_PASSWORD: decodeURIComponent(url.password),
      GLASSHOUSE_SECURITY_KEY: await newKeyFile(keys.path),
      GLASSHOUSE_BUS_URL: "amqp://guest:guest@consul:queue",
      GLASSHOUSE_VAULT_ADDRESS: "http://consul:primary.vault",
      GLASSHOUSE_VAULT_TOKEN: "env:TEST_VAULT_TOKEN",
      TEST_VAULT_TOKEN: vault.root,
      GLASSHOUSE_ENGINE_LEASE: "5s",
    };
    const token = await consul.newToken(policy);
    const variables = consulVariables(consul, token, { env: addresses });
    env = { ...process.env, ...variables };
    site = await Site.open({ env: variables });
    client = new BusClient(broker.urls);
    await client.listen("environment.#");
    const secrets = { key: { length: 20 } };
    await site.register({
      name: "found",
      groups: { web: { value: "x", with: { inputs: { key: "${{ secrets.key }}" } } } },
      more: { secrets },
    });
  });
  after(async () => {
    await client.close();
    await site.close();
    await keys.remove();
    for (const end of [() => vaultDoor.close(), () => vault.close(), () => broker.close()])
      await end();
    for (const server of [standby, postgres]) await server.remove();
    await consul.close();
  });

  /** Instances that Consul itself looks at, every 200 ms. */
  async function register(name: string, ...ports: readonly number[]): Promise<void> {
    for (const port of ports) {
      const check = { TCP: `127.0.0.1:${port}`, Interval: "200ms", Timeout: "1s" };
      const service = { Name: name, ID: `${name}-${port}`, Tags: ["primary"], Port: port };
      const body = { ...service, Address: "127.0.0.1", Check: { ...check, Status: "passing" } };
      await consul.request("PUT", "/v1/agent/service/register", { body });
    }
  }

  /** Made, with its secret in Vault, and told of on the bus. */
  async function makes(name: string): Promise<void> {
    const run = await site.create(name, "found");
    assert.equal(run.status, "succeeded", run.reason ?? "");
    const isTold = () =>
      client.events.some(({ subject, type }) => subject.endsWith(name) && type.endsWith(".ok"));
    await until(
      async () => isTold(),
      (told) => told,
    );
  }

  test("is used: state in PostgreSQL, events on RabbitMQ, a secret in Vault; the doctor looks there too", async () => {
    await makes("first");
    const found = await vault.request("LIST", "secret/metadata/glasshouse");
    assert.match(JSON.stringify(found), /env_/u);
    const [program, args] = ["bin/glasshouse", ["doctor", "--data", site.data]] as const;
    const { stdout } = await promisify(execFile)(program, args, { env }).catch(outputOf);
    assert.match(stdout, /PostgreSQL \d+.* at 127\.0\.0\.1:\d+/u);
    assert.match(stdout, /the broker at 127\.0\.0\.1:\d+, 127[^]* takes the user guest/u);
    assert.match(stdout, /kept in Vault [\d.]+ at http:\/\/consul:primary\.vault/u);
    assert.doesNotMatch(site.server.output, /not shown/u);
  });

  test("Vault at one of two addresses that goes away is asked at the other", async () => {
    await vaultDoor.close();
    for (const name of ["second", "third", "fourth"]) await makes(name);
  });

  test("a node of RabbitMQ that dies is left for the others, whichever it is", async () => {
    for (const at of [0, 1, 2]) {
      await broker.kill(at);
      await makes(`without-${at}`);
      await broker.start(at);
    }
  });

  test("a PostgreSQL that dies is left for its standby once that takes writes, and the lease is kept or taken anew", async () => {
    await postgres.stop("immediate");
    await standby.promote();
    await until(
      async () => (await site.send("GET", "/environments/first").catch(() => null))?.status,
      (status) => status === 200,
    );
    await makes("sixth");
  });

  test("a Consul that is away takes nothing of that away", async () => {
    await consul.kill();
    await sleep(1_000);
    await makes("seventh");
  });
});

/** A doctor that has found something ends with another code than 0. */
function outputOf(error: unknown): { readonly stdout: string } {
  return z.object({ stdout: z.string() }).parse(error);
}
