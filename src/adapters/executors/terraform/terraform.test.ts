import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { detectIsolation } from "../../../clients/process/isolation.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import { makeGroup } from "./context.fixture.ts";
import { createTerraformExecutor } from "./index.ts";

const isolation = await detectIsolation();
const log = { debug() {}, info() {}, warn() {}, error() {} };
const host = { isolation, environment: process.env, grants: () => ({}), hide: [], log };
const executor = createTerraformExecutor({ ...host, cliConfigFile: "/dev/null" });
const engine = await executor.program().catch(() => null);
const missing = engine === null && process.env["CI"] === undefined;
const options = missing ? { skip: "neither terraform nor tofu is there" } : {};

const module = `
variable "size" { type = number }
variable "token" {
  type      = string
  sensitive = true
}
variable "glasshouse" { type = any }
resource "terraform_data" "one" {
  count = var.size
  input = { n = count.index, token = var.token, group = var.glasshouse.group }
}
output "out" { value = [for one in terraform_data.one : one.input.n] }
output "hidden" {
  value     = { token = var.token, list = [1, "x"] }
  sensitive = true
}
output "undeclared" { value = 1 }
`;

test("a group is made, changed, looked at and destroyed", options, async (t) => {
  const group = await makeGroup(t, { "net/main.tf": module });
  const token = group.secret("token", "hush-hush");
  group.settings = { source: "./net", variables: { size: 2, token } };

  const made = await executor.apply(group.context());
  assert.deepEqual(made.outputs["out"], [0, 1]);
  assert.deepEqual(made.changes.map(({ address, action }) => `${action} ${address}`).sort(), [
    "create terraform_data.one[0]",
    "create terraform_data.one[1]",
  ]);
  assert.equal(group.children, 1);
  assert.deepEqual(group.slot.addresses, ["terraform_data.one[0]", "terraform_data.one[1]"]);
  assert.equal(group.progress.at(-1)?.done, 2);
  assert.equal(group.progress.at(-1)?.total, 2);
  group.remember(made);

  group.settings = { source: "./net", variables: { size: 1, token } };
  const changed = await executor.apply(group.context());
  assert.deepEqual(changed.changes, [{ address: "terraform_data.one[1]", action: "destroy" }]);
  assert.equal(group.children, 2);
  group.remember(changed);

  const seen = await executor.observe(group.context());
  assert.equal(seen.drift, "none");
  assert.deepEqual(seen.changes, []);
  assert.deepEqual(
    seen.observed.map(({ address }) => address),
    ["terraform_data.one[0]"],
  );

  await executor.destroy(group.context());
  assert.deepEqual(group.slot.addresses, []);
  const before = group.children;
  await executor.destroy(group.context());
  assert.equal(group.children, before, "an empty state needs no process");
});

test(
  "no secret is left in the log, the record, the notes or the work directory",
  options,
  async (t) => {
    const group = await makeGroup(t, { "main.tf": module });
    const token = group.secret("token", "hush-hush");
    group.settings = { source: ".", variables: { size: 1, token } };
    const made = await executor.apply(group.context());
    assert.deepEqual(made.outputs["hidden"], {
      token: group.secret("hidden.token", "hush-hush"),
      list: [group.secret("hidden.list[0]", "1"), group.secret("hidden.list[1]", "x")],
    });
    assert.equal("undeclared" in made.outputs, false);
    group.remember(made);
    const planned = await executor.plan(group.context());
    const shown = JSON.stringify([group.log, group.notes, made, planned.changes, group.progress]);
    assert.doesNotMatch(shown, /hush-hush/u);
    for (const path of await readdir(group.workDirectory, {
      recursive: true,
      withFileTypes: true,
    })) {
      if (!path.isFile()) continue;
      assert.doesNotMatch(await readFile(join(path.parentPath, path.name), "utf8"), /hush-hush/u);
    }
  },
);

test(
  "a saved plan is applied as it is, and refused when the state has moved",
  options,
  async (t) => {
    const group = await makeGroup(t, { "main.tf": module });
    const token = group.secret("token", "hush-hush");
    group.settings = { source: ".", variables: { size: 1, token } };
    const plan = await executor.plan(group.context());
    assert.deepEqual(
      plan.changes.map(({ address, action }) => [address, action]),
      [["terraform_data.one[0]", "create"]],
    );
    assert.doesNotMatch(JSON.stringify(plan.changes), /hush-hush/u);
    assert.deepEqual(group.slot.versions, []);
    const made = await executor.apply(group.context({ sealedPlan: plan.saved }));
    assert.deepEqual(made.outputs["out"], [0]);
    group.remember(made);
    await assert.rejects(
      executor.apply(group.context({ sealedPlan: plan.saved })),
      isCode("plan-stale"),
    );
  },
);

test(
  "missing state is an error for destroy, apply and a look, never a clean slate",
  options,
  async (t) => {
    const group = await makeGroup(t, { "main.tf": 'resource "terraform_data" "x" {}' });
    group.remember(await executor.apply(group.context()));
    group.slot.versions.length = 0;
    await assert.rejects(executor.destroy(group.context()), isCode("state-missing"));
    await assert.rejects(executor.apply(group.context()), isCode("state-missing"));
    await assert.rejects(executor.plan(group.context()), isCode("state-missing"));
  },
);

test(
  "what was made before a failure is kept, and a retry goes on from there",
  options,
  async (t) => {
    const failing = `
resource "terraform_data" "good" {}
resource "terraform_data" "bad" {
  depends_on = [terraform_data.good]
  provisioner "local-exec" {
    command = "exit 3"
  }
}`;
    const group = await makeGroup(t, { "main.tf": failing });
    await assert.rejects(executor.apply(group.context()), (error) => {
      assert.ok(error instanceof GlasshouseError);
      assert.equal(error.code, "step-failed");
      assert.match(
        error.message,
        /local-exec provisioner error.*exit status 3.*main\.tf:5:\d+, terraform_data\.bad/su,
      );
      assert.match(error.details[0]?.place ?? "", /^main\.tf:5:/u);
      return true;
    });
    assert.deepEqual(group.slot.addresses.toSorted(), [
      "terraform_data.bad",
      "terraform_data.good",
    ]);
    group.files = { "main.tf": failing.replace("exit 3", "exit 0") };
    const made = await executor.apply(group.context());
    assert.deepEqual(made.changes, [{ address: "terraform_data.bad", action: "replace" }]);
  },
);

test("a mistake in the configuration says where it is", options, async (t) => {
  const group = await makeGroup(t, { "m/main.tf": 'resource "terraform_data" "x" { nope = 1 }' });
  group.settings = { source: "m" };
  await assert.rejects(executor.apply(group.context()), /Unsupported argument.*main\.tf:1:33/su);
});

test(
  "backends, empty folders and foreign modules are refused before anything starts",
  options,
  async (t) => {
    const cases = [
      ['terraform {\n  backend "s3" {}\n}', /main\.tf:2 configures a backend/u],
      ['module "m" {\n  source = "../shared"\n}', /files: \[shared\]/u],
    ] as const;
    for (const [text, expected] of cases) {
      const group = await makeGroup(t, { "m/main.tf": text }, { source: "m" });
      await assert.rejects(executor.apply(group.context()), expected);
      assert.equal(group.children, 0);
    }
    const empty = await makeGroup(t, { "m/readme.md": "" }, { source: "m" });
    await assert.rejects(executor.apply(empty.context()), /m holds no \.tf file/u);
  },
);

test(
  "cancelling interrupts gently: the state is whole and what was made stays",
  options,
  async (t) => {
    const slow = `
resource "terraform_data" "quick" {}
resource "terraform_data" "slow" {
  depends_on = [terraform_data.quick]
  provisioner "local-exec" {
    command = "exec sleep 30"
  }
}`;
    const group = await makeGroup(t, { "main.tf": slow });
    const started = Promise.withResolvers<void>();
    const context = group.context({
      log: (line) => {
        if (line.includes("Provisioning with")) started.resolve();
      },
    });
    const running = executor.apply(context);
    await started.promise;
    group.stop.abort();
    await assert.rejects(running, isCode("step-interrupted"));
    assert.deepEqual(group.slot.addresses.toSorted(), [
      "terraform_data.quick",
      "terraform_data.slow",
    ]);
  },
);

test("without an engine the message says what to do", async (t) => {
  const group = await makeGroup(t, { "main.tf": "" });
  const none = createTerraformExecutor({ ...host, environment: { PATH: group.workDirectory } });
  await assert.rejects(
    none.apply(group.context()),
    /Neither terraform nor tofu is on PATH.*doctor/u,
  );
  const named = createTerraformExecutor({ ...host, program: "/nowhere/tofu" });
  await assert.rejects(named.apply(group.context()), /"\/nowhere\/tofu".*is not there/u);
});

function isCode(code: string): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof GlasshouseError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  };
}
