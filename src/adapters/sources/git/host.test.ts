import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, mkdir, rm, writeFile } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Remotes } from "../../../clients/resilience/remotes.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import { FakeMetrics } from "../../../testing/fake-metrics.ts";
import { isError } from "../../../testing/source-contract.ts";
import { gitSource } from "./index.ts";

const quick = {
  tries: 2,
  retry: { baseMs: 1, mostMs: 2 },
  // Long enough to be seen, however busy the machine is.
  breaker: { failures: 4, firstMs: 60_000, mostMs: 60_000 },
};

const ignore = (): void => undefined;

function setUp(
  more: { readonly path?: string; readonly timeoutMs?: number; readonly pauseMs?: number } = {},
) {
  const metrics = new FakeMetrics();
  const remotes = new Remotes({
    metrics,
    log: { debug: ignore, info: ignore, warn: ignore, error: ignore },
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
  });
  const source = gitSource({
    env: { ...process.env, ...(more.path === undefined ? {} : { PATH: more.path }) },
    remotes,
    policy: {
      ...quick,
      breaker: { ...quick.breaker, firstMs: more.pauseMs ?? quick.breaker.firstMs },
    },
    ...(more.timeoutMs === undefined ? {} : { timeoutMs: more.timeoutMs }),
  });
  const fetch = (repository: string) =>
    source.fetch({ repository, ref: null, path: "", allowFile: false });
  const states = (): Readonly<Record<string, string>> =>
    Object.fromEntries(remotes.statuses().map(({ name, state }) => [name, state]));
  return { fetch, states, metrics };
}

/** A port that does with each connection what it is told, and how many there were. */
async function listen(serve: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    serve(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return {
    url: `https://127.0.0.1:${address.port}/shop.git`,
    host: `git 127.0.0.1:${address.port}`,
    connections: () => sockets.size,
    async close(): Promise<void> {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

describe("the host of a repository", () => {
  let root: string;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), "glasshouse-host-test-"));
  });
  after(() => rm(root, { recursive: true, force: true }));

  test("that breaks off is tried again, then left alone and not connected to", async () => {
    const server = await listen((socket) => socket.destroy());
    try {
      const { fetch, states, metrics } = setUp();
      await assert.rejects(fetch(server.url), isError("unavailable", /cannot be reached/u));
      await assert.rejects(fetch(server.url), isError("unavailable", /cannot be reached/u));
      assert.equal(states()[server.host], "open");
      const connections = server.connections();
      assert.ok(connections >= 4, `${connections} connections for two fetches of two tries`);
      await assert.rejects(fetch(server.url), (error: unknown) => {
        assert.ok(error instanceof GlasshouseError);
        assert.match(error.message, /is down \(.*cannot be reached.*nothing is sent/u);
        assert.ok(error.retryAfterMs !== null);
        return isError("unavailable", /./u)(error);
      });
      assert.equal(server.connections(), connections);
      const labels = { remote: "git", outcome: "refused" };
      assert.equal(metrics.times("glasshouse_remote_call_duration_seconds", labels), 1);
    } finally {
      await server.close();
    }
  });

  test("that accepts and never answers costs the time limit and no more", async () => {
    const server = await listen(() => undefined);
    try {
      const { fetch } = setUp({ timeoutMs: 400 });
      const startedAtMs = performance.now();
      await assert.rejects(fetch(server.url), isError("timeout", /within 0\.4 s/u));
      assert.ok(performance.now() - startedAtMs < 5_000);
    } finally {
      await server.close();
    }
  });

  test("that is down says nothing of another one", async () => {
    const [one, other] = [
      await listen((socket) => socket.destroy()),
      await listen(() => undefined),
    ];
    try {
      const { fetch, states } = setUp({ timeoutMs: 2_000 });
      await assert.rejects(fetch(one.url));
      await assert.rejects(fetch(one.url));
      const slow = fetch(other.url);
      await sleep(20);
      assert.deepEqual(states(), { [one.host]: "open", [other.host]: "closed" });
      await assert.rejects(slow, isError("timeout", /./u));
    } finally {
      await Promise.all([one.close(), other.close()]);
    }
  });

  test("is asked again by itself, and everything is well once it answers", async () => {
    const { path, comesBack } = await hostThatIsAway(root);
    const { fetch, states } = setUp({ path, pauseMs: 150 });
    const url = "https://git.example.com/shop.git";
    await assert.rejects(fetch(url), isError("unavailable", /is away/u));
    await assert.rejects(fetch(url), isError("unavailable", /is away/u));
    assert.notEqual(states()["git git.example.com"], "closed");
    await comesBack();
    await sleep(200);
    const { files } = await fetch(url);
    assert.deepEqual(
      files.map((file) => file.path),
      ["template.yaml"],
    );
    assert.equal(states()["git git.example.com"], "closed");
  });

  test("is not held to be down when git cannot be started here", async () => {
    const { fetch, states } = setUp({ path: "/nonexistent" });
    for (let turn = 0; turn < 5; turn += 1)
      await assert.rejects(
        fetch("https://git.example.com/shop.git"),
        isError("unavailable", /git cannot be started/u),
      );
    assert.deepEqual(states(), { "git git.example.com": "closed" });
  });
});

/** A git whose one host is a directory, and is away until it comes back: no certificate is needed for that. */
async function hostThatIsAway(root: string) {
  const [repository, bin, flag] = [join(root, "shop"), join(root, "bin"), join(root, "back")];
  const env = { PATH: process.env["PATH"], HOME: root, GIT_CONFIG_NOSYSTEM: "1" };
  const git = (...args: readonly string[]): string =>
    execFileSync("git", ["-c", "user.name=T", "-c", "user.email=t@example.com", ...args], {
      cwd: repository,
      env,
    })
      .toString()
      .trim();
  await mkdir(repository);
  await mkdir(bin);
  git("init", "-q", "-b", "main");
  await writeFile(join(repository, "template.yaml"), "name: shop\n");
  git("add", "-A");
  git("commit", "-q", "-m", "first");
  const real = execFileSync("sh", ["-c", "command -v git"], { env }).toString().trim();
  const script = `#!/bin/sh
case "$*" in *ls-remote*|*fetch*) [ -e '${flag}' ] || { echo 'fatal: the host is away' >&2; exit 128; } ;; esac
exec '${real}' -c 'url.file://${repository}.insteadOf=https://git.example.com/shop.git' -c protocol.file.allow=always "$@"
`;
  await writeFile(join(bin, "git"), script, { mode: 0o755 });
  return { path: `${bin}:${env.PATH}`, comesBack: () => writeFile(flag, "") };
}
