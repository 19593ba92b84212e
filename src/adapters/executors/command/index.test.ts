import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import type { Value } from "../../../domain/value.ts";
import { processesWith, until } from "../../../testing/processes.ts";
import { caseOf, executor, failureOf, groupOf } from "./group.fixture.ts";

suite("a group over its life", () => {
  const commands = { create: ["./say", "create"], update: ["./say", "update"] };
  const say = { say: 'echo "$1"; [ ! -e ../fail ]' };

  test("is created until that succeeded once, then updated", async () => {
    const group = groupOf(commands, say);
    group.keep({ ...(await executor.apply(group.context())), memory: null });
    const created = group.keep(await executor.apply(group.context()));
    assert.deepEqual(created.changes, [{ address: "web", action: "create" }]);
    const updated = group.keep(await executor.apply(group.context()));
    assert.deepEqual(updated.changes, [{ address: "web", action: "update" }]);
    assert.deepEqual(group.lines, ["create", "create", "update"]);
  });

  test("is created anew, not updated, when a look has found it gone", async () => {
    const group = groupOf({ create: ["./say", "create"], update: ["./say", "update"] }, say);
    group.keep(await executor.apply(group.context()));
    group.found("missing");
    group.keep(await executor.apply(group.context()));
    assert.deepEqual(group.lines, ["create", "create"]);
  });

  test("without a destroy command has nothing to take down", async () => {
    const group = groupOf({ create: ["./say", "create"] }, say);
    await executor.destroy(group.context());
    assert.deepEqual(group.lines, ["[glasshouse] no destroy command: nothing is taken down"]);
  });

  test("that could never be created, for a secret in an argument, can be destroyed", async () => {
    const group = groupOf({}, say);
    const secret = group.secret("output/password", "s3cret-value");
    group.change(caseOf({ create: ["echo", secret], destroy: ["./say", "destroy"] }, say));
    assert.equal((await failureOf(executor.apply(group.context()))).code, "step-failed");
    await executor.destroy(group.context());
    assert.deepEqual(group.lines, ["destroy"]);
  });

  test("whose destroy fails is gone only when observe proves it", async () => {
    await executor.destroy(groupOf(undestroyable(3), {}).context());
    for (const code of [0, 4, 75, 1])
      assert.equal(
        (await failureOf(executor.destroy(groupOf(undestroyable(code), {}).context()))).code,
        "step-failed",
      );
  });

  test("is observed by exit code, with the differences from the result", async () => {
    const difference =
      '{"changes":[{"address":"vm.1","action":"update","before":1,"after":2}],"resources":[{"address":"vm.1"}]}';
    assert.deepEqual(await look(`echo '${difference}' >$GLASSHOUSE_RESULT; exit 4`), {
      drift: "drifted",
      changes: [{ address: "vm.1", action: "update", before: 1, after: 2 }],
      observed: [{ address: "vm.1", type: "", externalId: null, attributes: {} }],
      outputs: {},
    });
    assert.deepEqual(await look("exit 3"), {
      drift: "missing",
      changes: [{ address: "web", action: "create" }],
      observed: [],
      outputs: null,
    });
    await assert.rejects(look("exit 1"), { code: "step-failed" });
    await assert.rejects(look("exit 75"), { code: "provider-failed" });
  });

  test("with an unknown outcome is looked at, repeated if that is harmless, or asked about", async () => {
    const unborn = groupOf({ create: ["true"] }, {});
    const ctx = unborn.context({ attempts: [unborn.unknownAttempt()] });
    assert.equal((await executor.settle({ ...ctx, operation: "apply" })).kind, "again");
    assert.equal(await settle({ create: ["true"] }), "ask");
    assert.equal(await settle({ create: ["true"], repeatable: true }), "again");
    assert.equal(await settle({ create: ["true"], observe: ["true"] }), "done");
    assert.equal(await settle({ create: ["true"], observe: ["sh", "-c", "exit 3"] }), "again");
    assert.equal(await settle({ create: ["true"], observe: ["sh", "-c", "exit 4"] }), "again");
    await assert.rejects(settle({ create: ["true"], observe: ["sh", "-c", "exit 75"] }), {
      code: "provider-failed",
    });
  });

  test("that leaves processes keeps them, and can end them by pid later", async () => {
    const group = groupOf(
      { create: ["./up"], destroy: ["./down"], leavesProcesses: true },
      { up: 'tail -f "$0" >/dev/null 2>&1 & echo $! >pid', down: 'kill "$(cat pid)"' },
    );
    group.keep(await executor.apply(group.context()));
    const pid = Number(readFileSync(join(group.workDirectory, "run", "template", "pid"), "utf8"));
    await until(() => processesWith("tail").includes(pid));
    await executor.destroy(group.context());
    await until(() => !processesWith("tail").includes(pid));
  });
});

suite("settings of a command", () => {
  test("name the files whose change matters", () => {
    const settings = {
      create: ["./web/up", "./web/x"],
      update: ["node", "./tools/up.mjs", "${{ parameters.n }}"],
      destroy: ["./down/now"],
      files: ["shared/", "./conf.json"],
    };
    assert.deepEqual(executor.filesOf(settings), ["web", "tools", "shared/", "conf.json"]);
    assert.deepEqual(executor.filesOf({ create: ["./up"] }), [""]);
    assert.deepEqual(executor.filesOf({ create: ["make"] }), []);
  });

  test("are refused for programs outside of the template and for the service's own variables", () => {
    const details = executor.validate({
      create: ["../up"],
      destroy: ["a=b"],
      observe: [3],
      env: { GLASSHOUSE_STEP: "x", OK: "y" },
    });
    assert.deepEqual(
      details.map(({ pointer }) => pointer),
      ["/create/0", "/destroy/0", "/observe/0", "/env/GLASSHOUSE_STEP"],
    );
    assert.deepEqual(executor.validate({ create: ["./up", "${{ parameters.n }}"] }), []);
  });

  test("refuse apps from a URL, and secrets that come to stand in an argument", async () => {
    const withUrl = groupOf({ create: ["true"], app: { url: "https://example.com/a.tgz" } }, {});
    assert.equal((await failureOf(executor.apply(withUrl.context()))).code, "not-available");
    const group = groupOf({}, {});
    group.change(caseOf({ create: ["echo", group.secret("output/password", "s3cret-value")] }, {}));
    const error = await failureOf(executor.apply(group.context()));
    assert.match(error.message, /with\.create\.1.*only be given in `inputs`/u);
  });
});

function undestroyable(observed: number): Value {
  return { create: ["true"], destroy: ["false"], observe: ["sh", "-c", `exit ${observed}`] };
}

function look(script: string): Promise<unknown> {
  const group = groupOf({ create: ["true"], observe: ["./look"] }, { look: script });
  return executor.observe(group.context());
}

async function settle(settings: Value): Promise<string> {
  const group = groupOf(settings, {});
  await executor.apply(group.context());
  const ctx = group.context({ attempts: [group.unknownAttempt()] });
  return (await executor.settle({ ...ctx, operation: "apply" })).kind;
}
