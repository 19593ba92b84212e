import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { test } from "node:test";
import type { Settlement } from "../../../ports/executor.ts";
import { detectIsolation } from "../../../clients/process/isolation.ts";
import type { Group } from "./context.fixture.ts";
import { caseOf, makeGroup } from "./context.fixture.ts";
import type { HookEvent } from "./events.ts";
import { createTerraformExecutor } from "./index.ts";
import { eventsNote } from "./notes.ts";

const executor = createTerraformExecutor({
  isolation: await detectIsolation(),
  environment: {},
  grants: () => ({}),
  hide: [],
  log: { debug() {}, info() {}, warn() {}, error() {} },
});

test("nothing left behind means that it is simply done again", async (t) => {
  const group = begin(t);
  assert.deepEqual(await settle(group), { kind: "again" });
  assert.deepEqual(group.slot.versions, []);
});

test("the state on the disk is sealed and then removed from there, with plan, backup and output", async (t) => {
  const group = begin(t);
  await group.slot.saveProgress(copyOf(1, []));
  leave(group, "terraform.tfstate", stateText(3, ["x"]));
  leave(group, "terraform.tfstate.backup", stateText(1, []));
  assert.deepEqual(await settle(group), { kind: "again" });
  assert.deepEqual(group.slot.addresses, ["a_b.x"]);
  assert.deepEqual(readdirSync(join(group.workDirectory, "tree")), []);
});

test("an empty or torn state is replaced by the last copy, and what it lacks is asked about", async (t) => {
  for (const torn of ["", stateText(9, ["x", "y"]).slice(0, -3)]) {
    const group = begin(t);
    await group.slot.saveProgress(copyOf(2, ["x"]));
    leave(group, "terraform.tfstate", torn);
    await group.context().note(eventsNote([...made("x"), ...made("y")]));
    const settled = await settle(group);
    assert.equal(settled.kind === "ask" && settled.reason, "suspected-leak");
    assert.deepEqual(settled.kind === "ask" && settled.addresses, ["a_b.y"]);
    assert.match(settled.kind === "ask" ? settled.detail : "", /a_b\.y \(id i-y\) was created/u);
    assert.deepEqual(group.slot.addresses, ["a_b.x"]);
  }
});

test("a state that parses is compared too", async (t) => {
  const group = begin(t);
  await group.slot.saveProgress(copyOf(1, []));
  leave(group, "terraform.tfstate", stateText(2, ["x"]));
  leave(group, "../output.jsonl", [...made("x"), ...made("y"), ...made("z")].map(line).join("\n"));
  const settled = await settle(group);
  assert.deepEqual(settled.kind === "ask" && settled.addresses, ["a_b.y", "a_b.z"]);
});

test("what was only begun is asked about, unless it lives nowhere else", async (t) => {
  const group = begin(t);
  await group.slot.saveProgress(copyOf(1, []));
  const begun = made("x").slice(0, 1);
  const builtIn = begun.map((event) => ({ ...event, address: "random_id.r", type: "random_id" }));
  await group.context().note(eventsNote([...begun, ...builtIn]));
  const settled = await settle(group);
  assert.deepEqual(settled.kind === "ask" && settled.addresses, ["a_b.x"]);
});

test("a leak stays asked about, in settling and in applying, until it is accepted", async (t) => {
  const group = begin(t);
  await group.slot.saveProgress(copyOf(1, []));
  await group.context().note(eventsNote(made("x")));
  assert.equal((await settle(group)).kind, "ask");
  assert.equal((await settle(group)).kind, "ask");
  const accepted = group.later({ acceptedLeaks: ["a_b.x"] });
  assert.deepEqual(await executor.settle({ ...accepted, operation: "apply" }), { kind: "again" });
});

test("events of before a sealed state are dealt with", async (t) => {
  const group = begin(t);
  await group.slot.saveProgress(copyOf(1, []));
  leave(group, "terraform.tfstate", stateText(2, ["x"]));
  await group.context().note(eventsNote(made("x")));
  assert.deepEqual(await settle(group), { kind: "again" });
  // The object was taken down by a later attempt of the same step, and its state sealed.
  await group.slot.saveVersion(copyOf(3, []));
  assert.deepEqual(await settle(group), { kind: "again" });
});

test("a state of another lineage, or an older one, does not count", async (t) => {
  const group = begin(t);
  await group.slot.saveVersion(copyOf(5, ["x"]));
  leave(group, "terraform.tfstate", stateText(4, []));
  assert.deepEqual(await settle(group), { kind: "again" });
  leave(group, "terraform.tfstate", stateText(9, []).replace('"ours"', '"theirs"'));
  assert.deepEqual(await settle(group), { kind: "again" });
  assert.deepEqual(group.slot.addresses, ["a_b.x"]);
  assert.ok(!existsSync(join(group.workDirectory, "tree", "terraform.tfstate")));
});

test("a stored state that cannot be read is missing, not empty", async (t) => {
  const group = begin(t);
  await group.slot.saveVersion({ ...copyOf(5, ["x"]), bytes: Buffer.from("{") });
  await assert.rejects(settle(group), { code: "state-missing" });
  await assert.rejects(executor.destroy(group.context()), { code: "state-missing" });
});

test("a leak stands in the way of the next apply", async (t) => {
  const group = begin(t);
  await group.slot.saveProgress(copyOf(1, []));
  await group.context().note(eventsNote(made("x")));
  await assert.rejects(executor.destroy(group.later()), { code: "suspected-leak" });
  await executor.destroy(group.later({ acceptedLeaks: ["a_b.x"] }));
});

test("what Terraform could not write back is harvested", async (t) => {
  const group = begin(t);
  await group.slot.saveProgress(copyOf(1, []));
  leave(group, "terraform.tfstate", stateText(1, []));
  leave(group, "errored.tfstate", stateText(4, ["x"]));
  await settle(group);
  assert.deepEqual(group.slot.addresses, ["a_b.x"]);
});

function begin(t: TestContext): Group {
  const group = makeGroup(t, caseOf({ "main.tf": "" }));
  mkdirSync(join(group.workDirectory, "tree"), { recursive: true });
  return group;
}

async function settle(group: Group): Promise<Settlement> {
  return await executor.settle({ ...group.later(), operation: "apply" });
}

function leave(group: Group, name: string, text: string): void {
  writeFileSync(join(group.workDirectory, "tree", name), text);
}

function copyOf(
  serial: number,
  names: readonly string[],
): { readonly bytes: Uint8Array; readonly serial: number; readonly lineage: string } {
  return { bytes: Buffer.from(stateText(serial, names)), serial, lineage: "ours" };
}

function stateText(serial: number, names: readonly string[]): string {
  const resources = names.map((name) => ({
    mode: "managed",
    type: "a_b",
    name,
    provider: 'provider["example.com/x/a"]',
    instances: [{ attributes: { id: `i-${name}` } }],
  }));
  return JSON.stringify({ version: 4, serial, lineage: "ours", resources });
}

function made(name: string): readonly HookEvent[] {
  const event = { action: "create", address: `a_b.${name}`, type: "a_b" };
  return [
    { ...event, kind: "started", idKey: null, id: null },
    { ...event, kind: "completed", idKey: "id", id: `i-${name}` },
  ];
}

/** As `apply -json` prints it. */
function line({ kind, action, address, type, idKey, id }: HookEvent): string {
  const resource = { addr: address, resource_type: type };
  const known = id === null ? {} : { id_key: idKey, id_value: id };
  return JSON.stringify({
    "@message": address,
    type: kind === "started" ? "apply_start" : "apply_complete",
    hook: { resource, action, ...known },
  });
}
