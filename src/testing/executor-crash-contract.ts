import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { ExecutorSubject, ProcessSubject } from "./executor-subject.ts";
import { beginCase } from "./executor-world.ts";
import { processesWith, until } from "./processes.ts";

/** What every executor must do when the server dies, and after it. */
export function testCrashes(subject: ExecutorSubject, root: string): void {
  if (subject.processes !== null) testKill(subject.processes, root);

  test("an attempt that never began anything is simply done again", async () => {
    const { group, executor, thing } = await beginCase(subject, root);
    const attempts = [group.unknownAttempt()];
    const settled = await executor.settle({ ...group.context({ attempts }), operation: "apply" });
    assert.equal(settled.kind, "again");
    assert.equal(await thing(), null);
  });

  test("an apply that took effect and was not recorded is found, not done twice", async () => {
    const { group, executor, contents, thing } = await beginCase(subject, root);
    await executor.apply(group.context());
    const made = await contents();
    const attempts = [group.unknownAttempt()];
    const ctx = group.context({ attempts });
    const settled = await executor.settle({ ...ctx, operation: "apply" });
    assert.notEqual(settled.kind, "ask");
    const result = settled.kind === "done" ? settled.result : await executor.apply(group.context());
    group.keep(result);
    assert.equal(result.outputs["word"], "one");
    assert.deepEqual(await contents(), made);
    await executor.destroy(group.context());
    assert.equal(await thing(), null);
  });

  test("a destroy that took effect and was not recorded is found", async () => {
    const { group, executor, thing } = await beginCase(subject, root);
    group.keep(await executor.apply(group.context()));
    await executor.destroy(group.context());
    const ctx = group.context({ attempts: [group.unknownAttempt()] });
    const settled = await executor.settle({ ...ctx, operation: "destroy" });
    assert.notEqual(settled.kind, "ask");
    if (settled.kind === "again") await executor.destroy(group.context());
    assert.equal(await thing(), null);
  });
}

function testKill({ module }: ProcessSubject, root: string): void {
  test("when the server is killed, nothing that it started lives on", async () => {
    const directory = mkdtempSync(join(root, "c-"));
    const world = join(directory, "world");
    mkdirSync(world);
    const script = fileURLToPath(new URL("executor-server.ts", import.meta.url));
    const server = spawn(process.execPath, [script, module, world, join(directory, "work")], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const identity = once(createInterface(server.stdout), "line");
    await until(() => existsSync(join(world, "up")) && processesWith(world).length > 0);
    await identity;
    server.kill("SIGKILL");
    await once(server, "exit");
    await until(() => processesWith(world).length === 0);
  });
}
