import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { GlasshouseError } from "../domain/errors.ts";
import { isSecretRef } from "../domain/value.ts";
import type { ExecutorContext } from "../ports/executor.ts";
import { testCrashes } from "./executor-crash-contract.ts";
import type { ExecutorSubject, ProcessSubject } from "./executor-subject.ts";
import { beginCase, type ExecutorCase } from "./executor-world.ts";
import { processesShowing, processesWith, until } from "./processes.ts";

/** What every executor must do, tested in the real world: with real processes where it starts some. */
export function testExecutor(subject: ExecutorSubject): void {
  const root = mkdtempSync(join(tmpdir(), `glasshouse-${subject.name}-`));
  after(() => rmSync(root, { recursive: true, force: true }));
  suite(`the contract of executors, for ${subject.name}`, { skip: subject.skip }, () => {
    testLife(subject, root);
    testStopping(subject, root);
    if (subject.processes !== null) {
      testStoppingProcesses(subject, subject.processes, root);
      testSecrets(subject, subject.processes, root);
    }
    testCrashes(subject, root);
  });
}

function testLife(subject: ExecutorSubject, root: string): void {
  test("a plan changes nothing", async () => {
    const { world, group, executor, contents } = await beginCase(subject, root);
    group.change(subject.thing(world, "one"));
    const { changes } = await executor.plan(group.context());
    assert.ok(changes.some((change) => change.action === "create"));
    assert.deepEqual(await contents(), {});
  });

  test("what is foreseen is what a plan says, new and made", async () => {
    const { world, group, executor } = await beginCase(subject, root);
    for (const word of ["one", "two"]) {
      group.change(subject.thing(world, word));
      const foreseen = executor.foresee?.(group.context()) ?? null;
      const { changes, saved } = await executor.plan(group.context());
      if (foreseen !== null) assert.deepEqual([foreseen, null], [changes, saved]);
      group.keep(await executor.apply(group.context()));
    }
  });

  test("apply makes it, and a second apply leaves it right", async () => {
    const { world, group, executor, thing } = await beginCase(subject, root);
    group.change(subject.thing(world, "one"));
    for (let n = 0; n < 2; n += 1) {
      const { outputs } = group.keep(await executor.apply(group.context()));
      assert.equal(outputs["word"], "one");
      assert.equal(await thing(), "one");
    }
  });

  test("apply changes what is there to what is wanted now, also without its work directory", async () => {
    const { world, group, executor, thing } = await beginCase(subject, root);
    group.change(subject.thing(world, "one"));
    group.keep(await executor.apply(group.context()));
    group.loseWorkDirectory();
    group.change(subject.thing(world, "two"));
    const { outputs } = group.keep(await executor.apply(group.context()));
    assert.equal(outputs["word"], "two");
    assert.equal(await thing(), "two");
  });

  test("destroy takes it down, and is done when it is gone already", async () => {
    const { world, group, executor, thing } = await beginCase(subject, root);
    group.change(subject.thing(world, "one"));
    group.keep(await executor.apply(group.context()));
    group.loseWorkDirectory();
    await executor.destroy(group.context());
    assert.equal(await thing(), null);
    await executor.destroy(group.context());
    assert.equal(await thing(), null);
  });

  test("observe says what is so, and changes nothing", async () => {
    const { world, group, executor, contents } = await beginCase(subject, root);
    group.change(subject.thing(world, "one"));
    group.keep(await executor.apply(group.context()));
    const seen = await executor.observe(group.context());
    assert.equal(seen.drift, "none");
    assert.equal(seen.outputs?.["word"], "one");
    if (subject.tamper === null) return;
    await subject.tamper(world);
    const before = await contents();
    assert.notEqual((await executor.observe(group.context())).drift, "none");
    assert.deepEqual(await contents(), before);
  });
}

function testStopping(subject: ExecutorSubject, root: string): void {
  test("a stop before it began starts nothing", async () => {
    const { group, executor, contents } = await beginCase(subject, root);
    const signal = AbortSignal.abort();
    await assert.rejects(executor.apply(group.context({ signal })), GlasshouseError);
    assert.deepEqual(await contents(), {});
  });
}

function testStoppingProcesses(
  subject: ExecutorSubject,
  processes: ProcessSubject,
  root: string,
): void {
  test("nothing begins before the child's identity is stored, nor when that fails", async () => {
    const { world, group, executor } = await beginCase(subject, root);
    group.change(processes.waiting(world));
    const childStarted = (): Promise<void> => {
      assert.deepEqual(readdirSync(world), []);
      return Promise.reject(new GlasshouseError("stale-token", "another worker owns it"));
    };
    await assert.rejects(executor.apply(group.context({ childStarted })), { code: "stale-token" });
    assert.deepEqual(readdirSync(world), []);
    await until(() => processesWith(world).length === 0);
  });

  test("a stop while the child's identity is stored starts nothing", async () => {
    const { world, group, executor } = await beginCase(subject, root);
    group.change(subject.thing(world, "one"));
    const stop = new AbortController();
    const childStarted = async (): Promise<void> => stop.abort();
    const ctx = group.context({ signal: stop.signal, childStarted });
    await assert.rejects(executor.apply(ctx), GlasshouseError);
    assert.deepEqual(readdirSync(world), []);
  });

  test("a stop ends it in a gentle way and leaves no process", async () => {
    const { world, group, executor } = await beginCase(subject, root);
    group.change(processes.waiting(world));
    await stopped({ world, group, executor }, (stop) => stop.abort());
  });

  test("a kill ends what does not stop, and leaves no process", async (t) => {
    if (processes.stubborn === null) return t.skip("it has nothing that does not stop");
    const { world, group, executor } = await beginCase(subject, root);
    group.change(processes.stubborn(world));
    await stopped({ world, group, executor }, (stop, kill) => {
      stop.abort();
      setTimeout(() => kill.abort(), 300);
    });
  });
}

function testSecrets(subject: ExecutorSubject, processes: ProcessSubject, root: string): void {
  const plain = 'hunter"2/is+a $secret';

  test("a secret is in no argument, environment, log line, message or file, and its output is sealed", async () => {
    const { world, group, executor } = await beginCase(subject, root);
    group.change(processes.secretive(world, group.secret("parameter/token", plain)));
    const applied = executor.apply(group.context());
    await Promise.race([applied, until(() => existsSync(join(world, "up")))]);
    for (const text of [plain, "is+a $secret"]) assert.deepEqual(processesShowing(text), []);
    mkdirSync(join(world, "go-on"));
    const result = group.keep(await applied);
    const password = result.outputs["password"];
    assert.ok(isSecretRef(password));
    assert.equal(group.sealed.get(password.$secret), plain);
    assert.ok(group.lines.some((line) => line.includes("(secret)")));
    assertFree([result, group.lines, group.notes], plain);
    assert.deepEqual(filesWith(group.workDirectory, plain), []);
  });

  test("a failure is final, names the group and shows no secret", async () => {
    const { world, group, executor } = await beginCase(subject, root);
    group.change(processes.failing(world, group.secret("parameter/token", plain)));
    const error = await executor.apply(group.context()).then(
      () => assert.fail("it succeeded"),
      (fault: unknown) => fault,
    );
    assert.ok(error instanceof GlasshouseError);
    assert.match(error.message, /web/u);
    assertFree([error.message, error.details, group.lines], plain);
  });
}

async function stopped(
  of: Pick<ExecutorCase, "world" | "group" | "executor">,
  stop: (signal: AbortController, kill: AbortController) => void,
): Promise<void> {
  const [signal, kill] = [new AbortController(), new AbortController()];
  const more: Partial<ExecutorContext> = { signal: signal.signal, kill: kill.signal };
  const applied = of.executor.apply(of.group.context(more));
  applied.catch(() => undefined);
  await until(() => existsSync(join(of.world, "up")) && processesWith(of.world).length > 0);
  stop(signal, kill);
  await assert.rejects(applied, GlasshouseError);
  await until(() => processesWith(of.world).length === 0);
}

function assertFree(values: unknown, secret: string): void {
  const text = JSON.stringify(values);
  assert.ok(!text.includes(secret) && !text.includes(JSON.stringify(secret).slice(1, -1)));
}

function filesWith(directory: string, text: string): readonly string[] {
  const paths = readdirSync(directory, { recursive: true, encoding: "utf8" });
  return paths.filter((path) => {
    const full = join(directory, path);
    return statSync(full).isFile() && readFileSync(full).includes(text);
  });
}
