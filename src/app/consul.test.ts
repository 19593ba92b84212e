import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { getKey } from "../clients/consul/kv.ts";
import { Remotes } from "../clients/resilience/remotes.ts";
import { noMetrics } from "../ports/telemetry.ts";
import { consulClient } from "./consul.ts";

describe("Consul's token", () => {
  const directory = mkdtempSync(join(tmpdir(), "glasshouse-token-"));
  const file = join(directory, "token");
  const seen: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    seen.push(request.headers["x-consul-token"]?.toString());
    response.statusCode = 404;
    response.end();
  });
  let now = 0;
  let address = "";
  before(async () => {
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    const bound = server.address();
    address = `http://127.0.0.1:${typeof bound === "object" ? bound?.port : 0}`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
    rmSync(directory, { recursive: true });
  });

  async function caller(token: string | undefined): Promise<() => Promise<unknown>> {
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const clock = { now: () => now, monotonic: () => now };
    const sidecar = { register: false, upstreams: {} };
    const given = token === undefined ? {} : { token };
    const consul = { address, register: false, sidecar, tls: {}, ...given };
    const remotes = new Remotes({ metrics: noMetrics, log, clock });
    const client = await consulClient({ consul }, { env: { TOKEN: "of-env" }, remotes, clock });
    assert.ok(client !== null);
    return () => getKey(client, "k", { datacenter: null });
  }

  test("comes from where its reference leads, and none is sent without one", async () => {
    await (
      await caller("env:TOKEN")
    )();
    await (
      await caller(undefined)
    )();
    assert.deepEqual(seen.splice(0), ["of-env", undefined]);
    await assert.rejects(caller("env:NONE"), { code: "invalid-configuration" });
  });

  test("is read again from its file, and stays while the file cannot be read", async () => {
    const call = await caller(`file:${file}`);
    await assert.rejects(call(), { code: "unavailable", message: /consul\.token/u });
    writeFileSync(file, "one\n");
    await call();
    writeFileSync(file, "two");
    await call();
    now += 3_000;
    await call();
    rmSync(file);
    now += 3_000;
    await call();
    assert.deepEqual(seen.splice(0), ["one", "one", "two", "two"]);
  });
});
