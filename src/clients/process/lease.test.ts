import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { processesWith, until } from "../../testing/processes.ts";
import { startChild } from "./child.ts";
import { detectIsolation, type Isolation } from "./isolation.ts";
import type { Child } from "./warden.ts";

const root = mkdtempSync(join(tmpdir(), "glasshouse-lease-"));
after(() => rmSync(root, { recursive: true, force: true }));

/** Counts its SIGINTs and does not go. */
const stubborn = `trap "echo int >>ints" INT; : >up; while :; do sleep 0.05; done`;

let markers = 0;

const found = {
  bwrap: await detectIsolation(["bwrap"]),
  unshare: await detectIsolation(["unshare"]),
  none: await detectIsolation([]),
} as const;
const ways = [
  { kind: "bwrap", isolation: found.bwrap, leavesProcesses: false },
  { kind: "unshare", isolation: found.unshare, leavesProcesses: false },
  { kind: "none", isolation: found.none, leavesProcesses: false },
  { kind: "none", isolation: found.none, leavesProcesses: true },
] as const;

// They wait much and do little, so they wait together.
suite("a lease", { concurrency: true }, () => {
  for (const { kind, isolation, leavesProcesses } of ways) {
    const skip = isolation.kind === kind ? false : `${kind}: ${isolation.reason}`;
    const name = `of a child with isolation "${kind}"${leavesProcesses ? " that leaves processes" : ""}`;
    void suite(name, { skip, concurrency: true }, () => {
      const start = startWith.bind(null, { isolation, leavesProcesses });

      test("ends it by itself: one SIGINT, the time to stop, and a kill", async () => {
        const { child, cwd } = await start({ stopsWithinMs: 1_000, script: stubborn });
        child.holdFor(1_500);
        child.go();
        const from = performance.now();
        const { started } = await child.exited;
        const tookMs = performance.now() - from;
        assert.equal(started, true);
        assert.ok(tookMs > 2_000 && tookMs < 15_000, `it lived for ${tookMs} ms`);
        assert.equal(readFileSync(join(cwd, "ints"), "utf8"), "int\n");
      });

      test("that is renewed lets it run on, and leaves nothing behind", async () => {
        const mark = marker();
        const { child, cwd } = await start({ script: "sleep 5; : >done", mark });
        child.holdFor(4_000);
        child.go();
        for (let n = 0; n < 3; n += 1) {
          await sleep(100);
          child.holdFor(60_000);
        }
        assert.deepEqual(await child.exited, { code: 0, signal: null, started: true });
        assert.ok(existsSync(join(cwd, "done")));
        assert.equal(readFileSync(join(cwd, "out"), "utf8"), "");
        await until(() => processesWith(mark).length === 0);
      });

      test("that ended is not renewed any more, and asks for no second SIGINT", async () => {
        const { child, cwd } = await start({ stopsWithinMs: 2_000, script: stubborn });
        child.holdFor(1_000);
        child.go();
        await until(() => existsSync(join(cwd, "ints")));
        child.holdFor(60_000);
        child.interrupt();
        await child.exited;
        assert.equal(readFileSync(join(cwd, "ints"), "utf8"), "int\n");
      });

      test("still ends a child that was interrupted before and does not go", async () => {
        const { child, cwd } = await start({ stopsWithinMs: 1_000, script: stubborn });
        child.holdFor(2_000);
        child.go();
        await until(() => existsSync(join(cwd, "up")));
        child.interrupt();
        await child.exited;
        assert.equal(readFileSync(join(cwd, "ints"), "utf8"), "int\n");
      });

      test("that ended before go lets nothing start", async () => {
        const { child, cwd } = await start({ script: ": >ran" });
        child.holdFor(1_000);
        await sleep(1_100);
        child.go();
        assert.notEqual((await child.exited).code, 0);
        assert.ok(!existsSync(join(cwd, "ran")));
      });

      test("that is renewed in the moment of its end hides nothing of how it ended", async () => {
        for (let n = 0; n < 10; n += 1) {
          const { child } = await start({ script: "exit 7" });
          child.go();
          const renewing = setInterval(() => child.holdFor(60_000), 0);
          const { code } = await child.exited;
          clearInterval(renewing);
          assert.equal(code, 7);
        }
      });

      test("that was never given has no end", async () => {
        const { child, cwd } = await start({ script: "sleep 1; : >done" });
        child.go();
        await child.exited;
        assert.ok(existsSync(join(cwd, "done")));
      });
    });
  }
});

async function startWith(
  how: { readonly isolation: Isolation; readonly leavesProcesses: boolean },
  of: { readonly script: string; readonly stopsWithinMs?: number; readonly mark?: string },
): Promise<{ readonly child: Child; readonly cwd: string }> {
  const cwd = mkdtempSync(join(root, "d-"));
  const child = await startChild(how.isolation, {
    leavesProcesses: how.leavesProcesses,
    argv: ["sh", "-c", of.script],
    cwd,
    env: { PATH: "/usr/bin:/bin", MARK: of.mark ?? "" },
    outputFile: join(cwd, "out"),
    stopsWithinMs: of.stopsWithinMs ?? 10_000,
  });
  return { child, cwd };
}

/** Text that no other process shows. */
function marker(): string {
  markers += 1;
  return `lease-${process.pid}-${markers}`;
}
