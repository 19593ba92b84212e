import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { isSecretRef } from "../../../domain/value.ts";
import { TestGroup } from "../../../testing/executor-group.ts";
import { until } from "../../../testing/processes.ts";
import { applyScript, caseOf, executor, failureOf, groupOf, host, root } from "./group.fixture.ts";
import { commandExecutor } from "./index.ts";

suite("what a program gets", () => {
  test("arguments as JSON writes them, and a copy of the template's folder to run in", async () => {
    const group = groupOf(
      { create: ["./bin/run", "a b", 3, true, 1.5, "", "$(x)"] },
      { "bin/run": 'printf "%s|" "$@"; ls', "data/file": "" },
    );
    await executor.apply(group.context());
    assert.deepEqual(group.lines, ["a b|3|true|1.5||$(x)|bin", "data"]);
  });

  test("an allow-list of the server's environment, the operator's grants, and who it acts for", async () => {
    const group = groupOf(
      { create: ["./run"], env: { MINE: 5 } },
      { run: "env | grep -vE '^(PWD|_|SHLVL|OLDPWD)=' | sort" },
    );
    const ctx = group.context({ traceparent: "00-trace" });
    await executor.apply(ctx);
    const names = group.lines.map((line) => line.slice(0, line.indexOf("=")));
    assert.equal(
      names.join(" "),
      "API_TOKEN GLASSHOUSE_ENVIRONMENT GLASSHOUSE_ENVIRONMENT_NAME GLASSHOUSE_GROUP GLASSHOUSE_OWNER GLASSHOUSE_RESULT GLASSHOUSE_STEP GLASSHOUSE_TEMPLATE GRANTED HOME MINE PATH TRACEPARENT",
    );
    assert.ok(group.lines.includes("GRANTED=yes") && group.lines.includes("MINE=5"));
    assert.ok(group.lines.includes("API_TOKEN=(secret)"));
    assert.ok(group.lines.includes(`GLASSHOUSE_OWNER=${ctx.owner}`));
  });

  test("one JSON document on its input, with secrets only in inputs", async () => {
    const group = groupOf({}, {});
    const token = group.secret("parameter/token", "s3cret-value");
    group.keep({ outputs: { password: token, port: 80 }, observed: [], changes: [], memory: null });
    const inputs = { list: [token], text: { $text: ["a:", token] }, n: 1 };
    group.change(caseOf({ create: ["./run"], inputs }, { run: 'cat >"$GLASSHOUSE_RESULT.in"' }));
    const ctx = group.context();
    await executor.apply(ctx);
    const document: unknown = JSON.parse(
      readFileSync(join(group.workDirectory, "run", "result.json.in"), "utf8"),
    );
    assert.deepEqual(document, {
      environment: ctx.environment,
      group: "web",
      parameters: { nodes: 3 },
      inputs: { list: ["s3cret-value"], text: "a:s3cret-value", n: 1 },
      outputs: { password: "(secret)", port: 80 },
    });
  });

  test(
    "with bwrap, no sight of the server's data but its own place",
    { skip: host.isolation.kind !== "bwrap" && host.isolation.reason },
    async () => {
      for (const leavesProcesses of [false, true]) {
        const data = mkdtempSync(join(root, "data-"));
        writeFileSync(join(data, "store.db"), "");
        const settings = { create: ["./run", data], leavesProcesses };
        const group = new TestGroup(
          join(data, "work", "group"),
          caseOf(settings, { run: 'find "$1"; echo {} >"$GLASSHOUSE_RESULT"' }),
        );
        await commandExecutor({ ...host, hide: [data] }).apply(group.context());
        assert.ok(group.lines.some((line) => line.endsWith("/template/run")));
        assert.ok(
          !group.lines.some((line) => /store\.db|output\.log/u.test(line)),
          group.lines.join("\n"),
        );
      }
    },
  );
});

suite("how a program ends", () => {
  test("75 may pass, anything else is final, and the message has its last line", async () => {
    const passing = await failureOf(applyScript("echo busy; exit 75"));
    assert.deepEqual([passing.row.kind, /busy/u.test(passing.message)], ["transient", true]);
    const final = await failureOf(applyScript("echo no such region >&2; exit 2"));
    assert.deepEqual(
      [final.code, final.message],
      ["step-failed", "create of group web failed (exit code 2). Its last line: no such region"],
    );
    assert.match((await failureOf(applyScript("kill -KILL $$"))).message, /ended by SIGKILL/u);
  });

  test("a program that is not there is named", async () => {
    const missing = await failureOf(
      executor.apply(groupOf({ create: ["./no/such"] }, {}).context()),
    );
    assert.match(
      missing.message,
      /\.\/no\/such of group web is not a file of template sample@1\.0\.0/u,
    );
    const onPath = await failureOf(
      executor.apply(groupOf({ create: ["no-such-program"] }, {}).context()),
    );
    assert.match(onPath.message, /127.*does not exist/u);
  });

  test("a program that succeeds although it was asked to stop has succeeded", async () => {
    const group = groupOf(
      { create: ["./run"] },
      {
        run: 'trap "echo stopping" INT; : >up; while [ ! -e go ] && kill -0 $$; do sleep 0.05; [ -e up2 ] && exit 0; : ; done',
      },
    );
    const stop = new AbortController();
    const applied = executor.apply(group.context({ signal: stop.signal }));
    const place = join(group.workDirectory, "run", "template");
    await until(() => existsSync(join(place, "up")));
    stop.abort();
    await until(() => group.lines.includes("stopping"));
    writeFileSync(join(place, "up2"), "");
    await applied;
    assert.ok(group.lines.includes("[glasshouse] create was asked to stop"));
  });
});

suite("a program's result", () => {
  test("gives outputs and resources, and what holds a secret is sealed or masked", async () => {
    const group = groupOf({}, {});
    const token = group.secret("parameter/token", "s3cret-value");
    const document = {
      outputs: {
        url: "db://u:s3cret-value@h",
        port: 80,
        nested: { list: ["s3cret-value", "x"] },
        made: "generated",
      },
      sensitive: ["made"],
      resources: [{ address: "vm.1", type: "vm", id: 7, attributes: { note: "has s3cret-value" } }],
      unknown: true,
    };
    group.change(
      caseOf(
        { create: ["./run"], inputs: { token } },
        { run: "cat <<'EOF' >$GLASSHOUSE_RESULT\n" + JSON.stringify(document) + "\nEOF" },
      ),
    );
    const { outputs, observed } = await executor.apply(group.context());
    assert.equal(outputs["port"], 80);
    assert.ok(isSecretRef(outputs["url"]) && isSecretRef(outputs["made"]));
    assert.equal(group.sealed.get("output/made"), "generated");
    assert.equal(group.sealed.get("output/nested/list/0"), "s3cret-value");
    assert.deepEqual(observed, [
      { address: "vm.1", type: "vm", externalId: "7", attributes: { note: "has (secret)" } },
    ]);
    assert.ok(!JSON.stringify([outputs, observed]).includes("s3cret"));
  });

  test("that is malformed, too large or a link fails the step and is never quoted", async () => {
    const outside = join(root, "outside.json");
    writeFileSync(outside, '{"outputs":{"stolen":"data"}}');
    for (const [script, expected] of [
      ["echo s3cret >$GLASSHOUSE_RESULT", /is not JSON/u],
      ['echo \'{"outputs": ["s3cret"]}\' >$GLASSHOUSE_RESULT', /does not fit at outputs/u],
      ["head -c 5000000 /dev/zero >$GLASSHOUSE_RESULT", /larger than 4 MiB/u],
      ["mkfifo $GLASSHOUSE_RESULT", /not a regular file/u],
      [`ln -s ${outside} $GLASSHOUSE_RESULT`, /cannot be read/u],
    ] as const) {
      const error = await failureOf(
        executor.apply(groupOf({ create: ["./run"] }, { run: script }).context()),
      );
      assert.equal(error.code, "step-failed");
      assert.match(error.message, expected);
      assert.ok(!error.message.includes("s3cret"));
    }
  });

  test("shows progress while it runs", async () => {
    const seen: unknown[] = [];
    const group = groupOf(
      { create: ["./run"] },
      {
        run: 'echo \'{"progress":{"done":1,"total":4,"message":"copying"}}\' >$GLASSHOUSE_RESULT; while [ ! -e go ]; do sleep 0.05; done',
      },
    );
    const applied = executor.apply(group.context({ progress: (progress) => seen.push(progress) }));
    await until(() => seen.length > 0);
    assert.deepEqual(seen[0], { done: 1, total: 4, message: "copying" });
    writeFileSync(join(group.workDirectory, "run", "template", "go"), "");
    await applied;
  });
});
