import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { GlasshouseError } from "../../domain/errors.ts";
import { startChild, type ChildSpec } from "./child.ts";
import { awaitGone, identify, identityAlive, type ProcessIdentity } from "./identity.ts";
import { detectIsolation, type Isolation, type IsolationKind } from "./isolation.ts";
import { processesShowing, processesWith, until } from "../../testing/processes.ts";
import type { ParentOrder } from "./parent.fixture.ts";
import type { Child } from "./warden.ts";

const root = mkdtempSync(join(tmpdir(), "glasshouse-process-"));
after(() => rmSync(root, { recursive: true, force: true }));

const kinds = ["bwrap", "unshare", "none"] as const;
for (const kind of kinds) {
  const isolation = await detectIsolation([kind]);
  const skip = isolation.kind === kind ? false : `${kind}: ${isolation.reason}`;
  const strong = kind !== "none";

  suite(`a child with isolation "${kind}"`, { skip }, () => {
    const start = startWith.bind(null, isolation);

    test("runs nothing before go, and all of it after", async () => {
      const cwd = directory();
      const child = await start({ cwd, argv: ["touch", "ran"] });
      await sleep(100);
      assert.ok(!existsSync(join(cwd, "ran")));
      child.go();
      assert.deepEqual(await child.exited, { code: 0, signal: null, started: true });
      assert.ok(existsSync(join(cwd, "ran")));
    });

    test("is never started when it is interrupted or killed before go", async () => {
      for (const way of ["interrupt", "kill"] as const) {
        const cwd = directory();
        const child = await start({ cwd, argv: ["touch", "ran"] });
        child[way]();
        child.go();
        assert.deepEqual(await child.exited, { code: 130, signal: "SIGINT", started: false });
        assert.ok(!existsSync(join(cwd, "ran")));
      }
    });

    test("is never started when the server dies before go", async () => {
      const cwd = directory();
      const spec = specFor({ cwd, argv: ["sh", "-c", ': >"ran.$$"'] });
      const { kill, identities } = await parent({ among: [kind], spec, count: 20, go: false });
      await kill();
      for (const identity of identities)
        assert.equal(await awaitGone(identity, { timeoutMs: 5000, kill: false }), "gone");
      assert.equal(identities.length, 20);
      assert.deepEqual(
        readdirSync(cwd).filter((name) => name.startsWith("ran")),
        [],
      );
    });

    test("gets its arguments, input, descriptors and environment, and nothing else", async () => {
      const cwd = directory();
      const script =
        'printf "%s|" "$@"; cat; cat /dev/fd/3; cat <&4; env -u PWD -u _ -u SHLVL; ls /proc/self/fd';
      const child = await start({
        cwd,
        argv: ["/bin/sh", "-c", script, "sh", "a b", "", "$(x)", "*"],
        env: { PATH: "/usr/bin:/bin", ONLY: "this", warden_stops: "mine" },
        stdin: "input\n",
        descriptors: [
          { fd: 3, content: "three\n" },
          { fd: 4, content: Buffer.from("four\n") },
        ],
      });
      child.go();
      assert.equal((await child.exited).code, 0);
      const lines = output(cwd).split("\n");
      assert.deepEqual(lines.slice(0, 3), ["a b||$(x)|*|input", "three", "four"]);
      assert.ok(lines.includes("ONLY=this"));
      assert.ok(!lines.some((line) => line.startsWith("HOME=")));
      assert.ok(
        !lines.includes("8") && !lines.includes("9"),
        "the warden's descriptors were inherited",
      );
    });

    test("reports exit codes, signals and programs that do not exist", async () => {
      assert.deepEqual(await outcome(await start({ argv: ["sh", "-c", "exit 75"] })), [75, null]);
      assert.deepEqual(await outcome(await start({ argv: ["sh", "-c", "kill -TERM $$"] })), [
        143,
        "SIGTERM",
      ]);
      assert.deepEqual(await outcome(await start({ argv: ["./not-there"] })), [127, null]);
    });

    test("is interrupted by its own pid, once, and ends as it likes", async () => {
      const cwd = directory();
      const script =
        'trap "echo int >>ints" INT; : >up; n=0; while [ $n -lt 8 ]; do sleep 0.05; n=$((n+1)); done; exit 9';
      const child = await start({ cwd, argv: ["sh", "-c", script] });
      child.go();
      await until(() => existsSync(join(cwd, "up")));
      child.interrupt();
      child.interrupt();
      assert.equal((await child.exited).code, 9);
      assert.equal(readFileSync(join(cwd, "ints"), "utf8"), "int\n");
    });

    test("never misses an interrupt that comes right after go", async () => {
      for (let n = 0; n < 10; n += 1) {
        const child = await start({ argv: ["sleep", "30"] });
        child.go();
        await sleep(n % 4);
        child.interrupt();
        assert.equal((await child.exited).signal, "SIGINT");
      }
    });

    test("is killed at once with all that it started", async () => {
      const mark = marker();
      const child = await start({
        argv: ["sh", "-c", `trap "" INT; sleep ${mark} & sleep ${mark}`],
      });
      child.go();
      await until(() => processesWith(mark).length >= 2);
      child.kill();
      child.kill();
      assert.deepEqual(await child.exited, { code: 137, signal: "SIGKILL", started: true });
      await until(() => processesWith(mark).length === 0);
    });

    test("ends for the server when it exits, whoever still holds its output", async () => {
      const mark = marker();
      const child = await start({ argv: ["sh", "-c", `sleep ${mark} & exit 3`] });
      child.go();
      assert.equal((await child.exited).code, 3);
      await until(() => processesWith(mark).length === 0);
    });

    test("leaves the processes that it is meant to leave", async () => {
      const [mark, cwd] = [marker(), directory()];
      const script = `sleep ${mark} & echo $! >pid; exit 3`;
      const child = await start({ cwd, argv: ["sh", "-c", script], leavesProcesses: true });
      child.go();
      assert.equal((await child.exited).code, 3);
      assert.equal(await identityAlive(child.identity), false);
      await sleep(100);
      const pid = Number(readFileSync(join(cwd, "pid"), "utf8"));
      assert.deepEqual(processesWith(mark), [pid]);
      process.kill(pid, "SIGKILL");
    });

    test("is interrupted first and then gone, with everything, when the server is killed", async () => {
      const [mark, cwd] = [marker(), directory()];
      const escape = strong ? `setsid sleep ${mark} &` : "";
      const script = `trap "echo int >>ints; exit 0" INT; ${escape} sleep ${mark} & : >up; while :; do sleep 0.05; done`;
      const spec = specFor({ cwd, argv: ["sh", "-c", script] });
      const server = await parent({ among: [kind], spec, count: 1, go: true });
      await until(() => existsSync(join(cwd, "up")) && processesWith(mark).length >= 2);
      await server.kill();
      const [identity] = server.identities;
      assert.ok(identity);
      assert.equal(await awaitGone(identity, { timeoutMs: 5000, kill: false }), "gone");
      assert.equal(readFileSync(join(cwd, "ints"), "utf8"), "int\n");
      await until(() => processesWith(mark).length === 0);
    });

    test("gets no second SIGINT when the server is killed after a first one", async () => {
      const cwd = directory();
      const script = 'trap "echo int >>ints" INT; while :; do sleep 0.05; done';
      const spec = specFor({ cwd, argv: ["sh", "-c", script], stopsWithinMs: 1000 });
      const order = { among: [kind], spec, count: 1, go: true, interruptAfterMs: 300 };
      const server = await parent(order);
      await until(() => existsSync(join(cwd, "ints")));
      await server.kill();
      const [identity] = server.identities;
      assert.ok(identity);
      assert.equal(await awaitGone(identity, { timeoutMs: 5000, kill: false }), "gone");
      assert.equal(readFileSync(join(cwd, "ints"), "utf8"), "int\n");
    });

    test("can be proven dead and, if it will not go, killed by recovery", async () => {
      const mark = marker();
      const cwd = directory();
      const script = `trap "" INT; sleep ${mark} & : >up; while :; do sleep 0.1; done`;
      const spec = specFor({ cwd, argv: ["sh", "-c", script], stopsWithinMs: 60_000 });
      const server = await parent({ among: [kind], spec, count: 1, go: true });
      await until(() => existsSync(join(cwd, "up")));
      await server.kill();
      const [identity] = server.identities;
      assert.ok(identity);
      assert.equal(await awaitGone(identity, { timeoutMs: 50, kill: false }), "alive");
      if (strong) {
        assert.equal(await awaitGone(identity, { timeoutMs: 50, kill: true }), "killed");
        await until(() => processesWith(mark).length === 0);
      } else process.kill(-identity.pid, "SIGKILL");
    });

    test("hides what it is given from arguments and environments of all processes", async () => {
      const [cwd, secret] = [directory(), `hidden-${marker()}`];
      const child = await start({
        cwd,
        argv: ["sh", "-c", "cat >/dev/null; cat /dev/fd/3 >/dev/null; : >up; sleep 30"],
        stdin: secret,
        descriptors: [{ fd: 3, content: secret }],
      });
      assert.deepEqual(processesShowing(secret), []);
      child.go();
      await until(() => existsSync(join(cwd, "up")));
      assert.deepEqual(processesShowing(secret), []);
      child.kill();
      await child.exited;
    });

    test("says why it could not be started", async () => {
      await assert.rejects(
        startChild(isolation, { ...specFor({ argv: ["true"] }), cwd: join(root, "no-such") }),
        (error) =>
          error instanceof GlasshouseError &&
          error.code === "step-failed" &&
          error.message.includes("no-such"),
      );
      await assert.rejects(start({ argv: ["a=b"] }), { code: "invalid-request" });
      await assert.rejects(start({ argv: ["a", "b\0c"] }), { code: "invalid-request" });
    });
  });
}

const bwrap = await detectIsolation(["bwrap"]);
for (const leavesProcesses of [false, true])
  test(
    `with bwrap a child ${leavesProcesses ? "that leaves processes" : "with a namespace"} sees nothing of hidden directories but what is exposed`,
    { skip: bwrap.kind !== "bwrap" && bwrap.reason },
    async () => {
      const data = directory();
      const [cwd, cache] = [join(data, "work", "group"), join(data, "cache")];
      for (const path of [cwd, cache]) mkdirSync(path, { recursive: true });
      for (const path of [join(data, "store.db"), join(cwd, "mine"), join(cache, "plugin")])
        writeFileSync(path, "");
      const argv = ["sh", "-c", 'ls "$1" "$1/work" "$1/cache" .; : >made', "sh", data];
      const outputFile = join(data, "out");
      const child = await startChild(bwrap, {
        ...specFor({ argv, leavesProcesses }),
        cwd,
        outputFile,
        hide: [data],
        expose: [cwd, cache],
      });
      child.go();
      assert.equal((await child.exited).code, 0);
      assert.equal(await identityAlive(child.identity), false);
      const seen = readFileSync(outputFile, "utf8");
      assert.match(seen, /mine/u);
      assert.match(seen, /plugin/u);
      assert.doesNotMatch(seen, /store\.db|^out$/mu);
      assert.ok(existsSync(join(cwd, "made")));
    },
  );

test("a process that took over the pid is neither mistaken for the child nor killed", async () => {
  const other = spawn("sleep", ["30"], { stdio: "ignore" });
  await once(other, "spawn");
  const isolation = await detectIsolation([]);
  const child = await startChild(isolation, specFor({ argv: ["true"] }));
  child.go();
  await child.exited;
  const reused = { ...child.identity, pid: other.pid ?? 0 };
  assert.equal(await awaitGone(reused, { timeoutMs: 0, kill: true }), "gone");
  const living = await identify(other.pid ?? 0, 0);
  assert.ok(living !== null && (await identityAlive(living)));
  assert.equal(await identityAlive({ ...living, bootId: "another" }), false);
  assert.equal(other.exitCode ?? other.signalCode, null);
  other.kill("SIGKILL");
});

test("the output file is for the server's user alone and starts empty", async () => {
  const cwd = directory();
  const isolation = await detectIsolation([]);
  for (const text of ["a longer first text", "short"]) {
    const child = await startChild(
      isolation,
      specFor({ cwd, argv: ["sh", "-c", 'umask 0; echo "$1"; stat -c %a out', "sh", text] }),
    );
    child.go();
    await child.exited;
    assert.equal(output(cwd), `${text}\n600\n`);
  }
});

function startWith(
  isolation: Isolation,
  spec: Partial<ChildSpec> & Pick<ChildSpec, "argv">,
): Promise<Child> {
  return startChild(isolation, specFor(spec));
}

async function outcome(child: Child): Promise<readonly unknown[]> {
  child.go();
  const { code, signal } = await child.exited;
  return [code, signal];
}

function specFor(spec: Partial<ChildSpec> & Pick<ChildSpec, "argv">): ChildSpec {
  const cwd = spec.cwd ?? directory();
  return {
    env: { PATH: "/usr/bin:/bin" },
    outputFile: join(cwd, "out"),
    stopsWithinMs: 10_000,
    ...spec,
    cwd,
  };
}

function directory(): string {
  return mkdtempSync(join(root, "d-"));
}

function output(cwd: string): string {
  return readFileSync(join(cwd, "out"), "utf8");
}

let markers = 0;
/** A number of seconds that no other process sleeps. */
function marker(): string {
  markers += 1;
  return `${600 + markers}.${process.pid}`;
}

/** Starts a server in a process of its own, to be killed. */
async function parent(order: ParentOrder & { among: readonly IsolationKind[] }): Promise<{
  readonly identities: readonly ProcessIdentity[];
  readonly kill: () => Promise<void>;
}> {
  const fixture = fileURLToPath(new URL("parent.fixture.ts", import.meta.url));
  const server = spawn(process.execPath, [fixture, JSON.stringify(order)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line]: string[] = await once(createInterface(server.stdout), "line");
  return {
    identities: JSON.parse(line ?? "[]"),
    kill: async () => {
      server.kill("SIGKILL");
      await once(server, "exit");
    },
  };
}
