import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Executor } from "../ports/executor.ts";
import type { ExecutorSubject } from "./executor-subject.ts";
import { TestGroup } from "./executor-group.ts";
import { processesWith, until } from "./processes.ts";

/** What every executor must do when the server dies, and after it. */
export function testCrashes(subject: ExecutorSubject, root: string): void {
  test("when the server is killed, nothing that it started lives on", async () => {
    const { world, workDirectory } = place(root);
    const script = fileURLToPath(new URL("executor-server.ts", import.meta.url));
    const server = spawn(process.execPath, [script, subject.module, world, workDirectory], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const identity = once(createInterface(server.stdout), "line");
    await until(() => existsSync(join(world, "up")) && processesWith(world).length > 0);
    await identity;
    server.kill("SIGKILL");
    await once(server, "exit");
    await until(() => processesWith(world).length === 0);
  });

  test("an attempt that never started its child is simply done again", async () => {
    const { world, group, executor } = await begin(subject, root);
    const attempts = [group.unknownAttempt()];
    const settled = await executor.settle({ ...group.context({ attempts }), operation: "apply" });
    assert.equal(settled.kind, "again");
    assert.ok(!existsSync(join(world, "thing")));
  });

  test("an apply that took effect and was not recorded is found, not done twice", async () => {
    const { world, group, executor } = await begin(subject, root);
    await executor.apply(group.context());
    const attempts = [group.unknownAttempt()];
    const ctx = group.context({ attempts });
    const settled = await executor.settle({ ...ctx, operation: "apply" });
    assert.notEqual(settled.kind, "ask");
    const result = settled.kind === "done" ? settled.result : await executor.apply(group.context());
    group.keep(result);
    assert.equal(result.outputs["word"], "one");
    assert.equal(readFileSync(join(world, "thing"), "utf8").trim(), "one");
    await executor.destroy(group.context());
    assert.ok(!existsSync(join(world, "thing")));
  });

  test("a destroy that took effect and was not recorded is found", async () => {
    const { world, group, executor } = await begin(subject, root);
    group.keep(await executor.apply(group.context()));
    await executor.destroy(group.context());
    const ctx = group.context({ attempts: [group.unknownAttempt()] });
    const settled = await executor.settle({ ...ctx, operation: "destroy" });
    assert.notEqual(settled.kind, "ask");
    if (settled.kind === "again") await executor.destroy(group.context());
    assert.ok(!existsSync(join(world, "thing")));
  });
}

async function begin(
  subject: ExecutorSubject,
  root: string,
): Promise<{ readonly world: string; readonly group: TestGroup; readonly executor: Executor }> {
  const { world, workDirectory } = place(root);
  const group = new TestGroup(workDirectory, subject.thing(world, "one"));
  return { world, group, executor: await subject.executor() };
}

function place(root: string): { readonly world: string; readonly workDirectory: string } {
  const directory = mkdtempSync(join(root, "c-"));
  const world = join(directory, "world");
  mkdirSync(world);
  return { world, workDirectory: join(directory, "work") };
}
