import assert from "node:assert/strict";
import { createServer, type RequestListener, type Server } from "node:http";
import { afterEach, describe, test } from "node:test";
import { GlasshouseError } from "../../domain/errors.ts";
import { FakeMetrics } from "../../testing/fake-metrics.ts";
import { HttpConnection } from "../http/connection.ts";
import { Remotes } from "../resilience/remotes.ts";
import { ConsulClient, consulPolicies } from "./client.ts";
import { getKey, listKeys, transact } from "./kv.ts";

const servers: Server[] = [];
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** A client of a server that answers as the test says, with short pauses. */
async function clientOf(answer: RequestListener, token: string | null = "secret-token") {
  const server = createServer(answer);
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const connection = new HttpConnection({
    url: `http://127.0.0.1:${port}`,
    name: "Consul",
    connections: 4,
  });
  const clock = { now: () => Date.now(), monotonic: () => performance.now() };
  const metrics = new FakeMetrics();
  const remotes = new Remotes({ metrics, log: quiet, clock });
  const about = { kind: "consul", advice: "Look at Consul." } as const;
  const policy = { ...consulPolicies.calls, retry: { baseMs: 1, mostMs: 2 }, tryMs: 300 };
  const client = new ConsulClient({
    connection,
    watching: connection,
    calls: remotes.remote({ ...policy, ...about, name: "consul" }),
    watches: remotes.remote({ ...consulPolicies.watches, ...about, name: "consul watches" }),
    token: () => Promise.resolve(token),
    datacenter: "dc1",
    namespace: "team",
    partition: null,
  });
  return { client, remotes, metrics, server };
}

const here = { datacenter: null };

describe("a call to Consul", () => {
  afterEach(() => {
    for (const server of servers.splice(0)) server.closeAllConnections();
  });

  test("carries the token as a header, and where it goes as parameters", async () => {
    const seen: (string | undefined)[] = [];
    const { client } = await clientOf((request, response) => {
      seen.push(request.url, String(request.headers["x-consul-token"]));
      response.statusCode = 404;
      response.end();
    });
    assert.equal(await getKey(client, "a b/ü", here), null);
    assert.deepEqual((await listKeys(client, "p/", { datacenter: "dc2" })).value, []);
    assert.deepEqual(seen, [
      "/v1/kv/a%20b/%C3%BC?ns=team&dc=dc1",
      "secret-token",
      "/v1/kv/p/?ns=team&recurse&dc=dc2",
      "secret-token",
    ]);
  });

  test("fails by the class of the answer, with Consul's words and without the token", async () => {
    const expected = [
      [400, "invalid-request"],
      [403, "forbidden"],
      [413, "too-large"],
      [429, "too-many"],
      [500, "unavailable"],
      [503, "unavailable"],
    ] as const;
    for (const [status, code] of expected) {
      const { client } = await clientOf((_, response) => {
        response.writeHead(status, { "retry-after": "7" });
        response.end("No cluster leader");
      });
      await assert.rejects(transact(client, [], here), (error: unknown) => {
        assert.ok(error instanceof GlasshouseError);
        assert.deepEqual([error.code, error.retryAfterMs], [code, 7_000]);
        assert.match(error.message, new RegExp(`${status}: No cluster leader`, "u"));
        assert.ok(!error.message.includes("secret-token"));
        return true;
      });
    }
  });

  test("is tried again when it is safe to, and a transaction is not", async () => {
    let calls = 0;
    const { client } = await clientOf((_, response) => {
      calls += 1;
      response.statusCode = calls % 3 === 0 ? 200 : 500;
      response.end("[]");
    });
    assert.deepEqual((await listKeys(client, "p/", here)).value, []);
    assert.equal(calls, 3);
    await assert.rejects(transact(client, [], here), { code: "unavailable" });
    assert.equal(calls, 4);
  });

  test("that is refused as a whole names each fault; one for want of permission is an error", async () => {
    let what = "failed to set key, index is stale";
    const { client } = await clientOf((_, response) => {
      response.statusCode = 409;
      response.end(JSON.stringify({ Errors: [{ OpIndex: 1, What: what }] }));
    });
    const operations = [
      { verb: "check-index", key: "f", index: 1 },
      { verb: "delete-cas", key: "k", index: 2 },
    ] as const;
    assert.deepEqual(await transact(client, operations, here), {
      kind: "refused",
      faults: [{ at: 1, what }],
    });
    what = "Permission denied: token lacks permission 'key:write' on \"k\"";
    await assert.rejects(transact(client, operations, here), {
      code: "forbidden",
      message: /key k:/u,
    });
  });

  test("opens the breaker when Consul is away, says so, and is counted", async () => {
    const { client, remotes, metrics, server } = await clientOf((_, response) =>
      response.end("[]"),
    );
    await listKeys(client, "p/", here);
    server.closeAllConnections();
    await new Promise((resolve) => {
      server.close(resolve);
    });
    for (let turn = 0; turn < 3; turn += 1)
      await assert.rejects(listKeys(client, "p/", here), { code: "unavailable" });
    const [status] = remotes.statuses();
    assert.partialDeepStrictEqual(status, { name: "consul", kind: "consul", state: "open" });
    assert.match(status?.lastError?.message ?? "", /cannot be reached: connection refused/u);
    assert.ok(metrics.sum("glasshouse_remote_retries_total", { remote: "consul" }) >= 4);
  });

  test("ends at its time limit, and at the caller's wish", async () => {
    const { client } = await clientOf(() => undefined);
    await assert.rejects(transact(client, [], here), { code: "timeout" });
    const end = new AbortController();
    const calling = transact(client, [], { ...here, signal: end.signal });
    setTimeout(() => end.abort(new Error("enough")), 20);
    await assert.rejects(calling, { message: "enough" });
  });
});
