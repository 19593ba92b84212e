import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { test } from "node:test";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { ExecutorContext } from "../../../ports/executor.ts";
import { caseOf, makeGroup, type Group } from "./context.fixture.ts";
import { EventJournal } from "./event-journal.ts";
import { recollect } from "./notes.ts";

const redact = (text: string): string => text.replaceAll("hush-hush", "(secret)");

test("messages are shown for people, masked and line by line; outputs and the version are not", (t) => {
  const { group, journal } = begin(t);
  journal.line('{"@message":"Terraform 1.11.4","type":"version"}');
  journal.line('{"@message":"Outputs: 1","type":"outputs","outputs":{"x":{"value":"hush-hush"}}}');
  journal.line('{"@message":"a_b.x: Refreshing state... [id=hush-hush]","type":"refresh_start"}');
  journal.line("panic: something");
  const diagnostic = { severity: "warning", summary: "Old", detail: "first\\nsecond" };
  const event = { "@message": "Warning: Old", type: "diagnostic", diagnostic };
  journal.line(JSON.stringify(event).replaceAll("\\\\n", "\\n"));
  journal.line("");
  assert.deepEqual(group.lines, [
    "a_b.x: Refreshing state... [id=(secret)]",
    "panic: something",
    "Warning: Old: first",
    "second",
  ]);
  assert.equal(journal.text, "panic: something\n");
  assert.equal(journal.diagnostics.length, 1);
});

test("progress counts what is complete of what was planned", (t) => {
  const steps: unknown[] = [];
  const { journal } = begin(t, { progress: ({ done, total }) => steps.push([done, total]) });
  const changes = { add: 2, change: 1, remove: 1, operation: "plan" };
  journal.line(JSON.stringify({ "@message": "Plan", type: "change_summary", changes }));
  journal.line(hook("apply_start", "a_b.x"));
  journal.line(hook("apply_complete", "a_b.x"));
  assert.deepEqual(steps, [
    [0, 4],
    [1, 4],
  ]);
  journal.close();
});

test("events are noted in batches within a second, and ids that hold a secret are not kept", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { group, journal } = begin(t);
  journal.line(hook("apply_start", "a_b.x"));
  journal.line(hook("apply_complete", "a_b.x", "i-hush-hush"));
  assert.equal(group.notes.length, 0);
  t.mock.timers.tick(1000);
  return until(() => group.notes.length > 0).then(() => {
    assert.equal(group.notes.length, 1);
    const { events } = recollect([group.unknownAttempt()]);
    return assert.deepEqual(
      events.map(({ kind, id }) => [kind, id]),
      [
        ["started", null],
        ["completed", null],
      ],
    );
  });
});

test("a note that could not be stored is tried again; a lost step is told", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const faults = [new GlasshouseError("unavailable", "x"), new GlasshouseError("stale-token", "y")];
  const lost: unknown[] = [];
  let tries = 0;
  const note = (): Promise<void> => {
    tries += 1;
    return Promise.reject(faults[tries - 1] ?? new Error("too often"));
  };
  const { journal } = begin(t, { note }, (error) => lost.push(error));
  journal.line(hook("apply_start", "a_b.x"));
  t.mock.timers.tick(1000);
  await until(() => tries === 1);
  t.mock.timers.tick(1000);
  await until(() => lost.length === 1);
  assert.deepEqual([tries, lost], [2, [faults[1]]]);
});

function begin(
  t: TestContext,
  more: Partial<ExecutorContext> = {},
  lost: (error: unknown) => void = () => undefined,
): { readonly group: Group; readonly journal: EventJournal } {
  const group = makeGroup(t, caseOf({}));
  return { group, journal: new EventJournal(group.context(more), redact, lost) };
}

function hook(type: string, address: string, id?: string): string {
  const resource = { addr: address, resource_type: "a_b" };
  const known = id === undefined ? {} : { id_key: "id", id_value: id };
  const message = `${address}: ${type}`;
  return JSON.stringify({
    "@message": message,
    type,
    hook: { resource, action: "create", ...known },
  });
}

async function until(condition: () => boolean): Promise<void> {
  for (let n = 0; n < 1000 && !condition(); n += 1) await Promise.resolve();
  // Timers stand still, so promises alone must bring it about.
  for (let n = 0; n < 100 && !condition(); n += 1) await new Promise(setImmediate);
  assert.ok(condition());
}
