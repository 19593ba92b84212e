import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { GlasshouseError } from "../../domain/errors.ts";
import { FakeMetrics } from "../../testing/fake-metrics.ts";
import { Remotes } from "./remotes.ts";
import type { Remote, RemoteOptions } from "./remote.ts";

const down = (): GlasshouseError => new GlasshouseError("unavailable", "it is down");

const plain: RemoteOptions = {
  kind: "git",
  name: "git example.com",
  advice: "Look at the host.",
  tries: 3,
  retry: { baseMs: 1, mostMs: 4 },
  // Long enough to be seen, however busy the machine is.
  breaker: { failures: 3, firstMs: 60_000, mostMs: 60_000 },
};

function setUp(more: Partial<RemoteOptions> = {}) {
  const metrics = new FakeMetrics();
  const said: string[] = [];
  const keep = (message: string): void => void said.push(message);
  const log = { debug: keep, info: keep, warn: keep, error: keep };
  const clock = { now: () => Date.now(), monotonic: () => performance.now() };
  const remotes = new Remotes({ metrics, log, clock });
  return { remote: remotes.remote({ ...plain, ...more }), remotes, metrics, said };
}

async function openBreaker(remote: Remote): Promise<void> {
  const failing = remote.call(async () => Promise.reject(down()), { repeatable: true });
  await assert.rejects(failing, { code: "unavailable" });
  assert.notEqual(remote.status.state, "closed");
}

/** Until the next call is let through. */
async function letThrough(remote: Remote): Promise<void> {
  while (remote.status.state !== "half-open") await sleep(5);
}

describe("a call to a remote", () => {
  test("is tried again when it is safe to repeat and the failure may pass", async () => {
    const { remote, metrics } = setUp();
    const attempts: number[] = [];
    const result = await remote.call(
      async (_, attempt) => {
        attempts.push(attempt);
        if (attempt < 2) throw down();
        return "fine";
      },
      { repeatable: true },
    );
    assert.equal(result, "fine");
    assert.deepEqual(attempts, [0, 1, 2]);
    assert.equal(metrics.sum("glasshouse_remote_retries_total", { remote: "git" }), 2);
    const labels = { remote: "git", outcome: "ok" };
    assert.equal(metrics.times("glasshouse_remote_call_duration_seconds", labels), 1);
  });

  test("is made once when it is not safe to repeat", async () => {
    const { remote } = setUp();
    let calls = 0;
    const failing = remote.call(
      async () => {
        calls += 1;
        throw down();
      },
      { repeatable: false },
    );
    await assert.rejects(failing, { code: "unavailable" });
    assert.equal(calls, 1);
  });

  test("is made once when the answer is a refusal, which leaves the breaker closed", async () => {
    const { remote, metrics } = setUp();
    for (let turn = 0; turn < 5; turn += 1) {
      const refused = remote.call(
        async () => Promise.reject(new GlasshouseError("not-found", "no such branch")),
        { repeatable: true },
      );
      await assert.rejects(refused, { code: "not-found" });
    }
    assert.equal(remote.status.state, "closed");
    const labels = { outcome: "answered" };
    assert.equal(metrics.times("glasshouse_remote_call_duration_seconds", labels), 5);
  });

  test("that is answered ends a row of failures", async () => {
    const { remote } = setUp({ tries: 1 });
    const callFor = async (answer: GlasshouseError): Promise<void> =>
      assert.rejects(remote.call(async () => Promise.reject(answer), { repeatable: false }));
    for (let turn = 0; turn < 4; turn += 1) {
      await callFor(down());
      await callFor(down());
      await callFor(new GlasshouseError("not-found", "no such branch"));
    }
    assert.equal(remote.status.state, "closed");
  });

  test("beyond the places is refused, and waits for one before that", async () => {
    const { remote } = setUp({ places: { calls: 1, waiting: 1 } });
    const free = Promise.withResolvers<string>();
    const first = remote.call(() => free.promise, { repeatable: true });
    const second = remote.call(async () => "second", { repeatable: true });
    await sleep(1);
    await assert.rejects(
      remote.call(async () => "third", { repeatable: true }),
      { code: "too-many" },
    );
    free.resolve("first");
    assert.deepEqual(await Promise.all([first, second]), ["first", "second"]);
  });

  test("ends at once when the caller goes away, also between two tries", async () => {
    const { remote, metrics } = setUp({ retry: { baseMs: 5_000, mostMs: 5_000 } });
    const gone = new AbortController();
    const call = remote.call(async () => Promise.reject(down()), {
      signal: gone.signal,
      repeatable: true,
    });
    setTimeout(() => gone.abort(new Error("the caller went")), 5);
    await assert.rejects(call, { message: "the caller went" });
    const labels = { outcome: "cancelled" };
    assert.equal(metrics.times("glasshouse_remote_call_duration_seconds", labels), 1);
  });
});

describe("the breaker of a remote", () => {
  test("opens after failures in a row, refuses without a call, and says when it asks again", async () => {
    const { remote, metrics, said } = setUp();
    await openBreaker(remote);
    let called = false;
    const refused = remote.call(
      async () => {
        called = true;
      },
      { repeatable: true },
    );
    await assert.rejects(refused, (error: unknown) => {
      assert.ok(error instanceof GlasshouseError);
      assert.equal(error.code, "unavailable");
      assert.match(error.message, /git example\.com is down \(it is down\)/u);
      const pauseMs = error.retryAfterMs ?? -1;
      assert.ok(pauseMs > 0 && pauseMs <= 60_000, String(pauseMs));
      return true;
    });
    assert.equal(called, false);
    const { state, lastError, advice } = remote.status;
    assert.deepEqual(
      { state, lastError: lastError?.message, advice },
      { state: "open", lastError: "it is down", advice: "Look at the host." },
    );
    const labels = { outcome: "refused" };
    assert.equal(metrics.times("glasshouse_remote_call_duration_seconds", labels), 1);
    assert.deepEqual(
      said.filter((line) => line.includes("is down")),
      ["git example.com is down: it is left alone for a while, then asked again"],
    );
  });

  test("closes by itself when the call that is let through goes well", async () => {
    const { remote, said } = setUp({ breaker: { failures: 3, firstMs: 20, mostMs: 20 } });
    await openBreaker(remote);
    await letThrough(remote);
    assert.equal(await remote.call(async () => "back", { repeatable: true }), "back");
    const { state, advice } = remote.status;
    assert.deepEqual({ state, advice }, { state: "closed", advice: null });
    assert.ok(said.includes("git example.com answers again"));
  });

  test("stays open, for longer, when that call fails", async () => {
    const { remote } = setUp({ breaker: { failures: 3, firstMs: 200, mostMs: 10_000 } });
    await openBreaker(remote);
    await letThrough(remote);
    let calls = 0;
    const probe = remote.call(
      async () => {
        calls += 1;
        throw down();
      },
      { repeatable: true },
    );
    await assert.rejects(probe, { code: "unavailable" });
    assert.equal(calls, 1, "one call is let through, not three");
    const { retryAtMs, lastError } = remote.status;
    const pauseMs = (retryAtMs ?? 0) - (lastError?.atMs ?? 0);
    assert.ok(pauseMs >= 200 && pauseMs <= 500, String(pauseMs));
  });

  test("is not closed by a caller that goes away before the answer", async () => {
    const { remote } = setUp({ breaker: { failures: 3, firstMs: 20, mostMs: 10_000 } });
    await openBreaker(remote);
    await letThrough(remote);
    const gone = new AbortController();
    const probe = remote.call(async () => new Promise(() => undefined), {
      signal: gone.signal,
      repeatable: true,
    });
    setTimeout(() => gone.abort(), 5);
    await assert.rejects(probe);
    await sleep(1);
    assert.notEqual(remote.status.state, "closed");
  });

  test("is not opened by callers that go away", async () => {
    const { remote } = setUp();
    for (let turn = 0; turn < 5; turn += 1) {
      const call = remote.call(async () => new Promise(() => undefined), {
        signal: AbortSignal.timeout(2),
        repeatable: true,
      });
      await assert.rejects(call);
    }
    assert.equal(remote.status.state, "closed");
  });

  test("is counted by state", async () => {
    const { remote, remotes, metrics } = setUp();
    remotes.remote({ ...plain, name: "git example.org" });
    await openBreaker(remote);
    assert.deepEqual(await metrics.read("glasshouse_remote_breakers"), [
      { value: 1, labels: { remote: "git", state: "closed" } },
      { value: 1, labels: { remote: "git", state: "open" } },
      { value: 0, labels: { remote: "git", state: "half-open" } },
    ]);
  });
});

describe("a remote that does not answer", () => {
  const sockets = new Set<Socket>();
  let server: Server;
  let port: number;

  beforeEach(async () => {
    tries = 0;
    server = createServer((socket) => void sockets.add(socket));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    assert.ok(address !== null && typeof address === "object");
    ({ port } = address);
  });

  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    server.close();
    await once(server, "close");
  });

  let tries: number;
  const ask = async (signal: AbortSignal): Promise<Response> => {
    tries += 1;
    return fetch(`http://127.0.0.1:${port}/`, { signal });
  };

  test("is given up on after the time of a try, and tried again", async () => {
    const { remote } = setUp({ tryMs: 30, tries: 2 });
    await assert.rejects(remote.call(ask, { repeatable: true }), {
      code: "timeout",
      message: "git example.com did not answer within 0.03 s.",
    });
    assert.equal(tries, 2);
  });

  test("is given up on when the time of the whole call is up, whatever its tries are at", async () => {
    const { remote } = setUp({ tryMs: 40, deadlineMs: 60, tries: 10 });
    const startedAtMs = performance.now();
    await assert.rejects(remote.call(ask, { repeatable: true }), { code: "timeout" });
    assert.ok(performance.now() - startedAtMs < 2_000);
    assert.ok(tries <= 2, `${tries} tries`);
  });

  test("opens the breaker, too", async () => {
    const { remote } = setUp({ tryMs: 10 });
    await assert.rejects(remote.call(ask, { repeatable: true }), { code: "timeout" });
    assert.equal(remote.status.state, "open");
  });

  test("ends when work does not listen to its signal", async () => {
    const { remote } = setUp({ tryMs: 10, tries: 1 });
    const deaf = remote.call(async () => new Promise(() => undefined), { repeatable: true });
    await assert.rejects(deaf, { code: "timeout" });
  });
});

describe("the registry of remotes", () => {
  test("gives the same remote for the same name and forgets the least used of too many hosts", () => {
    const { remotes } = setUp();
    const first = remotes.remote({ ...plain, name: "git 0.example.com" });
    assert.equal(remotes.remote({ ...plain, name: "git 0.example.com" }), first);
    for (let host = 1; host < 100; host += 1)
      remotes.remote({ ...plain, name: `git ${host}.example.com` });
    assert.equal(remotes.statuses().length, 64);
    assert.ok(remotes.statuses().every(({ name }) => name !== "git 0.example.com"));
  });

  test("shows a connection that heals by itself", () => {
    const { remotes, said } = setUp();
    const bus = remotes.connection({ kind: "bus", name: "bus", advice: "Look at the broker." });
    const state = (): unknown => remotes.statuses().find(({ name }) => name === "bus");
    bus.down(new Error("connection refused"));
    bus.down(new Error("connection refused"));
    assert.partialDeepStrictEqual(state(), { state: "open", advice: "Look at the broker." });
    bus.up(3);
    assert.partialDeepStrictEqual(state(), { state: "closed", latencyMs: 3, advice: null });
    assert.deepEqual(said, [
      "bus is down: it is tried again until it answers",
      "bus answers again",
    ]);
  });
});
