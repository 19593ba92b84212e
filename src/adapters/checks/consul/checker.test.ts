import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { ConsulClient, consulPolicies } from "../../../clients/consul/client.ts";
import { mostFollowed } from "../../../clients/consul/watch.ts";
import type { HttpAnswer, HttpRequest } from "../../../clients/http/connection.ts";
import type { CheckFollower } from "../../../ports/check.ts";
import { noMetrics } from "../../../ports/telemetry.ts";
import { Remotes } from "../../../clients/resilience/remotes.ts";
import { configuredChecker } from "./checker.ts";

type Answer = Pick<HttpAnswer, "headers"> & { readonly body: unknown };

/** A Consul that answers what the test says, waits where it is asked to, and counts what it was asked. */
function fakeConsul(answer: (path: string) => Answer) {
  const asked: string[] = [];
  const send = async ({ path, signal }: HttpRequest): Promise<HttpAnswer> => {
    asked.push(path);
    if (path.includes("index="))
      await pause(60_000, null, { signal }).catch(() => {
        throw signal.reason;
      });
    const { headers, body } = answer(path);
    return { status: 200, headers, body: Buffer.from(JSON.stringify(body)) };
  };
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };
  const clock = { now: () => 0, monotonic: () => 0 };
  const remotes = new Remotes({ metrics: noMetrics, log: quiet, clock });
  const about = { kind: "consul", name: "consul", advice: "" } as const;
  const client = new ConsulClient({
    connection: { send },
    watching: { send },
    calls: remotes.remote({ ...consulPolicies.calls, ...about }),
    watches: remotes.remote({ ...consulPolicies.watches, ...about }),
    token: () => Promise.resolve(null),
    datacenter: null,
    namespace: null,
    partition: null,
  });
  return { checker: configuredChecker(client), asked };
}

function follower() {
  const end = new AbortController();
  const { promise: first, resolve } = Promise.withResolvers<string>();
  const told: CheckFollower = {
    seen: ({ healthy, detail }) => resolve(`${healthy ? "healthy" : "unhealthy"}: ${detail}`),
    lost: (reason) => resolve(`lost: ${reason}`),
    signal: end.signal,
  };
  return { told, first, end: () => end.abort() };
}

const target = (service: string) =>
  ({ kind: "consul", of: { service, tag: null }, datacenter: null }) as const;
const instance = {
  Node: { Node: "n1", Address: "10.0.0.1" },
  Service: { ID: "s1" },
  Checks: [{ Name: "up", Status: "passing", Output: "" }],
};
const known = { headers: { "x-consul-index": "7" }, body: [instance] };
const nothing = { headers: { "x-consul-index": "7" }, body: [] };

describe("what Consul is followed by", () => {
  test("is asked once for a service that many checks look at, and not any more once none does", async () => {
    const { checker, asked } = fakeConsul(() => known);
    const many = Array.from({ length: 50 }, () => follower());
    for (const { told } of many) assert.equal(checker.follow?.(target("shop"), told), true);
    for (const { first } of many) assert.equal(await first, "healthy: 1 of 1 instance passes");
    while (asked.length < 2) await pause(5);
    assert.deepEqual(asked, [
      "/v1/health/service/shop",
      "/v1/health/service/shop?index=7&wait=60000ms",
    ]);
    const late = follower();
    checker.follow?.(target("shop"), late.told);
    assert.equal(await late.first, "healthy: 1 of 1 instance passes");
    for (const { end } of [...many, late]) end();
    await pause(100);
    assert.equal(asked.length, 2);
  });

  test("has room for so many targets, and says so when there is none", () => {
    const { checker } = fakeConsul(() => known);
    const all = Array.from({ length: mostFollowed + 1 }, (_, at) => ({ at, ...follower() }));
    const taken = all.map(({ at, told }) => checker.follow?.(target(`s${at}`), told));
    assert.equal(taken.filter((one) => one === true).length, mostFollowed);
    assert.equal(taken.at(-1), false);
    all[0]?.end();
    const again = follower();
    assert.equal(checker.follow?.(target("again"), again.told), true);
    for (const { end } of [...all, again]) end();
  });

  test("takes what the token may not see for not known, and what is not there for failing", async () => {
    const filtered = { ...nothing, headers: { "x-consul-results-filtered-by-acls": "true" } };
    const { checker } = fakeConsul((path) => (path.includes("hidden") ? filtered : nothing));
    const [hidden, gone] = [follower(), follower()];
    checker.follow?.(target("hidden"), hidden.told);
    checker.follow?.(target("gone"), gone.told);
    assert.match(await hidden.first, /^lost: Consul hides it from the token/u);
    assert.match(await gone.first, /^unhealthy: Consul knows no instance/u);
    for (const { end } of [hidden, gone]) end();
  });

  test("looks at the checks of a node itself, not at those of services on it", async () => {
    const { checker, asked } = fakeConsul(() => ({
      ...nothing,
      body: [
        { Name: "Serf", Status: "passing", Output: "alive", ServiceID: "" },
        { Name: "disk", Status: "warning", Output: "90 % full\n", ServiceID: "" },
        { Name: "shop", Status: "critical", Output: "", ServiceID: "shop" },
      ],
    }));
    const limits = { timeoutMs: 1_000, signal: new AbortController().signal };
    const node = { kind: "consul", of: { node: "n 1" }, datacenter: "dc2" } as const;
    assert.deepEqual(await checker.check(node, limits), {
      healthy: false,
      detail: "1 of 2 checks pass; disk: 90 % full",
    });
    assert.deepEqual(asked, ["/v1/health/node/n%201?dc=dc2"]);
  });
});
