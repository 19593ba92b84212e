import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { serviceHealth } from "../../../src/clients/consul/health.ts";
import { listKeys } from "../../../src/clients/consul/kv.ts";
import { lookAtConsul } from "../../../src/clients/consul/status.ts";
import { watch } from "../../../src/clients/consul/watch.ts";
import { consulClient } from "../../support/consul-client.ts";
import { consulSkip } from "../../support/consul-program.ts";
import { Consul } from "../../support/consul.ts";

describe("the client of Consul", { skip: consulSkip }, () => {
  let consul: Consul;
  before(async () => {
    consul = await Consul.start({ tls: true });
  });
  after(() => consul.close());

  test("speaks TLS with a server whose authority it is told, and with no other", async () => {
    const ca = await readFile(consul.certificates?.authority ?? "", "utf8");
    const { token } = consul;
    const trusting = consulClient({ url: consul.tlsUrl(), token, tls: { ca } });
    const { leader } = await lookAtConsul(trusting, 5_000);
    assert.match(leader, /^127\.0\.0\.1:\d+$/u);
    const doubting = consulClient({ url: consul.tlsUrl(), token });
    await assert.rejects(listKeys(doubting, "p/", { datacenter: null }), {
      code: "unavailable",
      message: /cannot be reached/u,
    });
  });

  test("says that a token is not known", async () => {
    const client = consulClient({
      url: consul.url(),
      token: "11111111-2222-3333-4444-555555555555",
    });
    await assert.rejects(lookAtConsul(client, 5_000), {
      code: "forbidden",
      message: /ACL not found/u,
    });
  });

  test("follows the health of a service: each change arrives within a second, also after Consul was away", async () => {
    const check = { CheckID: "c", Name: "c", TTL: "10m", Status: "passing" };
    const body = { Name: "followed", ID: "followed", Check: check };
    await consul.request("PUT", "/v1/agent/service/register", { body });
    const client = consulClient({ url: consul.url(), token: consul.token });
    const end = new AbortController();
    const told: { readonly healthy: boolean; readonly atMs: number }[] = [];
    let arrived = Promise.withResolvers<void>();
    const query = { service: "followed", datacenter: null, tag: null };
    const watching = watch({
      read: (wait, signal) => serviceHealth(client, { ...query, wait, signal }),
      changed: (instances) => {
        const healthy = instances.some(({ failing }) => failing.length === 0);
        told.push({ healthy, atMs: performance.now() });
        arrived.resolve();
      },
      signal: end.signal,
    });
    const until = async (healthy: boolean): Promise<number> => {
      while (told.at(-1)?.healthy !== healthy) {
        arrived = Promise.withResolvers();
        await arrived.promise;
      }
      return told.at(-1)?.atMs ?? 0;
    };
    await until(true);
    const delays: number[] = [];
    for (let turn = 0; turn < 20; turn += 1) {
      const healthy = turn % 2 === 1;
      const begun = performance.now();
      await consul.request("PUT", `/v1/agent/check/${healthy ? "pass" : "fail"}/c`);
      delays.push((await until(healthy)) - begun);
    }
    assert.ok(Math.max(...delays) < 1_000, `it took ${Math.max(...delays)} ms`);
    await consul.kill();
    consul.run();
    await consul.ready();
    await consul.request("PUT", "/v1/agent/check/fail/c");
    await until(false);
    end.abort();
    await watching;
  });
});
