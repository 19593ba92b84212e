import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { detectIsolation } from "../../../clients/process/isolation.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import { until } from "../../../testing/processes.ts";
import { caseOf, Group, makeGroup } from "./context.fixture.ts";
import { createTerraformExecutor } from "./index.ts";
import { skip, subject } from "./subject.fixture.ts";

const host = {
  isolation: await detectIsolation(),
  environment: process.env,
  grants: () => ({}),
  hide: [],
  log: { debug() {}, info() {}, warn() {}, error() {} },
};
const executor = await subject.executor();
const options = { skip };

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
const plain = { size: 1, token: "hush-hush" };

test(
  "a group is made, changed, looked at and destroyed, with one process each",
  options,
  async (t) => {
    const files = { "net/main.tf": module };
    const sized = (size: number) =>
      caseOf(files, { source: "./net", variables: { ...plain, size } });
    const group = makeGroup(t, sized(2));
    const steps: unknown[] = [];
    const made = await executor.apply(
      group.context({ progress: (progress) => steps.push(progress) }),
    );
    assert.deepEqual(made.outputs["out"], [0, 1]);
    assert.deepEqual(made.changes.map(({ address, action }) => `${action} ${address}`).sort(), [
      "create terraform_data.one[0]",
      "create terraform_data.one[1]",
    ]);
    assert.equal(group.children.length, 1);
    assert.deepEqual(group.slot.addresses, ["terraform_data.one[0]", "terraform_data.one[1]"]);
    assert.partialDeepStrictEqual(steps.at(-1), { done: 2, total: 2 });
    group.keep(made);

    group.change(sized(1));
    const changed = group.keep(await executor.apply(group.context()));
    assert.deepEqual(changed.changes, [{ address: "terraform_data.one[1]", action: "destroy" }]);
    assert.equal(group.children.length, 2);

    const seen = await executor.observe(group.context());
    assert.deepEqual([seen.drift, seen.changes], ["none", []]);
    assert.equal(group.children.length, 3, "without drift there is nothing to show");
    assert.deepEqual(
      seen.observed.map(({ address }) => address),
      ["terraform_data.one[0]"],
    );

    await executor.destroy(group.context());
    assert.deepEqual(group.slot.addresses, []);
    await executor.destroy(group.context());
    assert.equal(group.children.length, 4, "an empty state needs no process");
    assert.deepEqual(
      group.slot.versions.map(({ lineage }) => lineage === group.slot.versions[0]?.lineage),
      [true, true, true],
    );
  },
);

test(
  "sensitive outputs are sealed text by text, and undeclared ones are left out",
  options,
  async (t) => {
    const group = makeGroup(t, caseOf({ "main.tf": module }, { source: ".", variables: plain }));
    const { outputs } = await executor.apply(group.context());
    assert.deepEqual(outputs["hidden"], {
      token: group.secret("output/hidden.token", "hush-hush"),
      list: [
        group.secret("output/hidden.list[0]", "1"),
        group.secret("output/hidden.list[1]", "x"),
      ],
    });
    assert.deepEqual(Object.keys(outputs), ["out", "hidden"]);
  },
);

test(
  "neither a plan nor an observed resource shows a secret, wherever Terraform copied it",
  options,
  async (t) => {
    const token = { $secret: "parameter/token", fingerprint: "f" };
    const variables = { size: 1, token };
    const group = makeGroup(t, caseOf({ "main.tf": module }, { source: ".", variables }));
    group.secret("parameter/token", "hush-hush");
    const fresh = await executor.plan(group.context());
    const made = group.keep(await executor.apply(group.context()));
    const later = await executor.plan(group.context());
    const shown = JSON.stringify([fresh.changes, made.observed, later.changes, group.lines]);
    assert.doesNotMatch(shown, /hush-hush/u);
    assert.match(shown, /\(secret\)/u);
  },
);

test(
  "a saved plan is applied as it is, and refused when the state has moved",
  options,
  async (t) => {
    const group = makeGroup(t, caseOf({ "main.tf": module }, { source: ".", variables: plain }));
    const plan = await executor.plan(group.context());
    assert.deepEqual(
      plan.changes.map(({ address, action }) => `${action} ${address}`),
      ["create terraform_data.one[0]"],
    );
    assert.deepEqual(group.slot.versions, []);
    const saved = { sealedPlan: plan.saved };
    const made = group.keep(await executor.apply(group.context(saved)));
    assert.deepEqual(made.outputs["out"], [0]);
    await assert.rejects(executor.apply(group.context(saved)), { code: "plan-stale" });
  },
);

test(
  "missing state is an error for destroy, apply and a plan, never a clean slate",
  options,
  async (t) => {
    const group = makeGroup(t, caseOf({ "main.tf": 'resource "terraform_data" "x" {}' }));
    group.keep(await executor.apply(group.context()));
    group.slot.versions.length = 0;
    await assert.rejects(executor.destroy(group.context()), { code: "state-missing" });
    await assert.rejects(executor.apply(group.context()), { code: "state-missing" });
    await assert.rejects(executor.plan(group.context()), { code: "state-missing" });
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
    const group = makeGroup(t, caseOf({ "main.tf": failing }));
    await assert.rejects(executor.apply(group.context()), (error) => {
      assert.ok(error instanceof GlasshouseError);
      assert.equal(error.code, "step-failed");
      assert.match(error.message, /local-exec provisioner error.*exit status 3/su);
      assert.match(error.message, /main\.tf:5:\d+, terraform_data\.bad/u);
      assert.match(error.details[0]?.place ?? "", /^main\.tf:5:/u);
      return true;
    });
    assert.deepEqual(group.slot.addresses, ["terraform_data.bad", "terraform_data.good"]);
    group.change(caseOf({ "main.tf": failing.replace("exit 3", "exit 0") }));
    const made = await executor.apply(group.later());
    assert.deepEqual(made.changes, [{ address: "terraform_data.bad", action: "replace" }]);
  },
);

test("a mistake in the configuration says where it is", options, async (t) => {
  const text = 'resource "terraform_data" "x" { nope = 1 }';
  const group = makeGroup(t, caseOf({ "m/main.tf": text }, { source: "m" }));
  await assert.rejects(executor.apply(group.context()), /Unsupported argument.*main\.tf:1:33/su);
});

test(
  "backends, empty folders and foreign modules are refused before anything starts",
  options,
  async (t) => {
    const cases = [
      ["main.tf", 'terraform {\n  backend "s3" {}\n}', /main\.tf:2 configures a backend/u],
      ["main.tf", 'module "m" {\n  source = "../shared"\n}', /files: \[shared\]/u],
      ["readme.md", "", /m holds no \.tf file/u],
    ] as const;
    for (const [name, text, expected] of cases) {
      const group = makeGroup(t, caseOf({ [`m/${name}`]: text }, { source: "m" }));
      await assert.rejects(executor.apply(group.context()), expected);
      assert.deepEqual(group.children, []);
    }
  },
);

test(
  "a stop keeps what was made, and no object that was cut off is suspected",
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
    const group = makeGroup(t, caseOf({ "main.tf": slow }));
    const stop = new AbortController();
    const running = executor.apply(group.context({ signal: stop.signal }));
    running.catch(() => undefined);
    await until(() => group.lines.some((line) => line.includes("Provisioning with")));
    stop.abort();
    await assert.rejects(running, { code: "step-interrupted" });
    assert.deepEqual(group.slot.addresses, ["terraform_data.quick", "terraform_data.slow"]);
    const settled = await executor.settle({ ...group.later(), operation: "apply" });
    assert.deepEqual(settled, { kind: "again" });
  },
);

test("nothing but the template's files stays in the work directory", options, async (t) => {
  const group = makeGroup(t, caseOf({ "main.tf": module }, { source: ".", variables: plain }));
  await executor.plan(group.context());
  await executor.apply(group.context());
  const names = readdirSync(group.workDirectory, { recursive: true, encoding: "utf8" });
  assert.deepEqual(names.toSorted(), ["tree", "tree/main.tf"]);
});

const bwrap = host.isolation.kind === "bwrap";
test(
  "children see nothing of the data directory but their own place",
  { skip: skip || !bwrap },
  async (t) => {
    const directory = mkdtempSync(join(tmpdir(), "glasshouse-data-"));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const text = `resource "terraform_data" "x" {
  provisioner "local-exec" {
    command = "find ${directory} > found"
  }
}`;
    const group = new Group(join(directory, "work"), caseOf({ "main.tf": text }));
    writeFileSync(join(directory, "store.db"), "");
    const hiding = createTerraformExecutor({
      ...host,
      hide: [directory],
      cliConfigFile: "/dev/null",
    });
    await hiding.apply(group.context());
    const found = readFileSync(join(group.workDirectory, "tree", "found"), "utf8");
    assert.match(found, /work\/tree\/main\.tf/u);
    assert.doesNotMatch(found, /store\.db/u);
  },
);

test("a full disk holds the outcome until there is room", options, async (t) => {
  const group = makeGroup(t, caseOf({ "main.tf": 'resource "terraform_data" "x" {}' }));
  const save = group.slot.saveVersion.bind(group.slot);
  let tries = 0;
  group.slot.saveVersion = async (copy) => {
    tries += 1;
    if (tries === 1) throw new GlasshouseError("storage-full", "no room");
    await save(copy);
  };
  group.keep(await executor.apply(group.context()));
  assert.equal(tries, 2);
  assert.deepEqual(group.slot.addresses, ["terraform_data.x"]);
  assert.ok(group.lines.some((line) => line.includes("storage-full")));
});

test("without an engine the message says what to do", async (t) => {
  const group = makeGroup(t, caseOf({ "main.tf": "" }));
  const none = createTerraformExecutor({ ...host, environment: { PATH: group.workDirectory } });
  await assert.rejects(
    none.apply(group.context()),
    /Neither terraform nor tofu is on PATH.*doctor/u,
  );
  await none.destroy(group.context());
  assert.ok(group.lines.at(-1)?.includes("Nothing was ever begun"));
  const named = createTerraformExecutor({ ...host, program: "/nowhere/tofu" });
  await assert.rejects(named.apply(group.context()), /"\/nowhere\/tofu".*is not there/u);
});

test("a granted variable that would change the executor's commands is refused", async (t) => {
  const group = makeGroup(t, caseOf({ "main.tf": module }, { source: ".", variables: plain }));
  const granting = createTerraformExecutor({
    ...host,
    grants: () => ({ TF_VAR_size: { value: "1", isSecret: false } }),
  });
  await assert.rejects(granting.apply(group.context()), /TF_VAR_size cannot be granted/u);
});
