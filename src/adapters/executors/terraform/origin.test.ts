import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { test } from "node:test";
import type { Attempt } from "../../../domain/step.ts";
import { caseOf, makeGroup, type Group } from "./context.fixture.ts";
import { layoutOf, type Layout } from "./directory.ts";
import { harvest } from "./harvest.ts";
import { markOrigin } from "./origin.ts";
import { skip, subject } from "./subject.fixture.ts";

const executor = await subject.executor();
const child = { pid: 1, startTime: "1", bootId: "b", stopsWithinMs: 1 };

test("files here count while they go on from the last sealed state, and not once others have sealed one", async (t) => {
  const { group, layout } = begin(t);
  await group.slot.saveVersion(copyOf(5));
  await markOrigin(group.context(), layout, copyOf(5));
  leave(layout, 12);
  assert.equal((await harvest(group.context(), layout)).state?.serial, 12);
  await group.slot.saveVersion(copyOf(8));
  const left = await harvest(group.context(), layout);
  assert.deepEqual([left.state?.serial, left.unsealed, left.finished], [8, false, false]);
  assert.match(group.lines.at(-1) ?? "", /do not count/u);
});

test("files of the attempt that started a program last count, whatever was sealed since", async (t) => {
  const { group, layout } = begin(t);
  await markOrigin(group.context({ stepId: "stp_a", token: 2 }), layout, null);
  leave(layout, 12);
  await group.slot.saveVersion(copyOf(8));
  const looked = attempt(3, false);
  const own = await harvest(group.context({ attempts: [attempt(2, true), looked] }), layout);
  assert.deepEqual([own.state?.serial, own.finished], [12, true]);
  const others = [attempt(2, true), attempt(3, true)];
  const overtaken = await harvest(group.context({ attempts: others }), layout);
  assert.deepEqual([overtaken.state?.serial, overtaken.finished], [8, false]);
});

test("the files of a version that made no marks count", async (t) => {
  const { group, layout } = begin(t);
  await group.slot.saveVersion(copyOf(5));
  leave(layout, 6);
  assert.equal((await harvest(group.context(), layout)).state?.serial, 6);
});

test("a group moves between workers, and what one left behind never wins", { skip }, async (t) => {
  const group = makeGroup(t, sized(1));
  const other = mkdtempSync(join(tmpdir(), "glasshouse-terraform-"));
  t.after(() => rmSync(other, { recursive: true, force: true }));
  const on = (workDirectory: string) => group.context({ workDirectory });
  group.keep(await executor.apply(on(group.workDirectory)));
  // The first worker is cut off in the middle of a change, of which the store knows nothing.
  const layout = layoutOf(group.workDirectory, ".");
  const [first] = group.slot.versions;
  assert.ok(first);
  await markOrigin(group.context(), layout, first);
  const document = JSON.parse(Buffer.from(first.bytes).toString("utf8"));
  writeFileSync(layout.state, JSON.stringify({ ...document, serial: 99, resources: [] }));
  writeFileSync(layout.output, finished);

  group.change(sized(3));
  const second = group.keep(await executor.apply(on(other)));
  assert.equal(second.changes.length, 2);
  group.change(sized(2));
  const third = await executor.apply(on(group.workDirectory));
  assert.deepEqual(third.changes, [{ address: "terraform_data.one[2]", action: "destroy" }]);
  assert.deepEqual(group.slot.addresses, ["terraform_data.one[0]", "terraform_data.one[1]"]);
  assert.ok(!existsSync(layout.state));
});

test("another worker has only what was shipped, and asks about the rest", { skip }, async (t) => {
  const group = makeGroup(t, sized(2));
  await executor.apply(group.context());
  const sealed = group.slot.versions.pop();
  assert.ok(sealed);
  // What was in the store when the first worker died: the state of before, and the events of one object.
  await group.slot.saveProgress({ ...sealed, serial: 1, bytes: empty(sealed.bytes) });
  const event = ["c", "create", "example_thing.a", "example_thing", "id", "i-1"];
  await group.context().note({ terraform: "events", events: [event] });
  const elsewhere = join(group.workDirectory, "..", "elsewhere");
  mkdirSync(elsewhere);
  const settled = await executor.settle({
    ...group.later({ workDirectory: elsewhere }),
    operation: "apply",
  });
  assert.equal(settled.kind === "ask" && settled.reason, "suspected-leak");
  assert.deepEqual(settled.kind === "ask" && settled.addresses, ["example_thing.a"]);
});

function begin(t: TestContext): { readonly group: Group; readonly layout: Layout } {
  const group = makeGroup(t, caseOf({ "main.tf": "" }));
  const layout = layoutOf(group.workDirectory, ".");
  mkdirSync(layout.tree, { recursive: true });
  return { group, layout };
}

function leave(layout: Layout, serial: number): void {
  writeFileSync(layout.state, copyOf(serial).bytes);
  writeFileSync(layout.output, finished);
}

const finished = JSON.stringify({
  "@message": "Apply complete!",
  type: "change_summary",
  changes: { add: 1, change: 0, remove: 0, operation: "apply" },
});

function attempt(token: number, acted: boolean): Attempt {
  const at = "2026-01-01T00:00:00.000Z";
  return {
    stepId: "stp_a",
    token,
    worker: `wrk_${token}`,
    startedAt: at,
    finishedAt: at,
    outcome: "unknown",
    failure: null,
    child: acted ? child : null,
    notes: [],
  };
}

function copyOf(serial: number) {
  const text = JSON.stringify({ version: 4, serial, lineage: "ours", resources: [] });
  return { bytes: Buffer.from(text), serial, lineage: "ours" };
}

function empty(bytes: Uint8Array): Uint8Array {
  const document = JSON.parse(Buffer.from(bytes).toString("utf8"));
  return Buffer.from(JSON.stringify({ ...document, serial: 1, resources: [], outputs: {} }));
}

function sized(count: number) {
  const text = `resource "terraform_data" "one" {\n  count = ${count}\n}\n`;
  return { ...caseOf({ "main.tf": text }), outputs: [] };
}
