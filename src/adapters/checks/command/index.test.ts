import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { detectIsolation } from "../../../clients/process/isolation.ts";
import type { CheckTarget } from "../../../ports/check.ts";
import { testChecker } from "../../../testing/check-contract.ts";
import { commandChecker } from "./index.ts";

const root = await mkdtemp(join(tmpdir(), "glasshouse-check-"));
after(() => rm(root, { recursive: true, force: true }));
const outputs = join(root, "outputs");
const checker = commandChecker({ isolation: await detectIsolation(), outputs, hide: [] });

function command(...argv: readonly string[]): CheckTarget {
  return { kind: "command", argv, directory: root, env: { PATH: process.env["PATH"] ?? "" } };
}

async function look(target: CheckTarget) {
  return checker.check(target, { timeoutMs: 10_000, signal: new AbortController().signal });
}

describe("the command check", () => {
  testChecker(checker, async () => ({
    healthy: command("sh", "-c", "echo all well"),
    unhealthy: command("sh", "-c", "echo first; echo no connection >&2; exit 3"),
    silent: command("sleep", "30"),
  }));

  test("gives the last line of the output and the exit code", async () => {
    assert.deepEqual(await look(command("sh", "-c", "echo a; echo b")), {
      healthy: true,
      detail: "b",
    });
    assert.deepEqual(await look(command("sh", "-c", "echo a; echo b >&2; exit 3")), {
      healthy: false,
      detail: "exit 3: b",
    });
    assert.deepEqual(await look(command("false")), { healthy: false, detail: "exit 1" });
  });

  test("is unhealthy when the program does not exist", async () => {
    const { healthy, detail } = await look(command("no-such-program-here"));
    assert.equal(healthy, false);
    assert.match(detail, /127|not be started/u);
  });

  test("inherits nothing of the environment", async () => {
    process.env["GLASSHOUSE_TEST_LEAK"] = "leaked";
    const { detail } = await look(command("sh", "-c", "echo [$GLASSHOUSE_TEST_LEAK]"));
    delete process.env["GLASSHOUSE_TEST_LEAK"];
    assert.equal(detail, "[]");
  });

  test("leaves no file behind", async () => {
    await look(command("echo", "x"));
    assert.deepEqual(await readdir(outputs), []);
  });
});
