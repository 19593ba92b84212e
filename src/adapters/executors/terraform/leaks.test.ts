import assert from "node:assert/strict";
import { test } from "node:test";
import type { HookEvent } from "./events.ts";
import { livesNowhereElse, suspectedLeaks } from "./leaks.ts";
import type { TerraformState } from "./state-file.ts";
import { parseState } from "./state-file.ts";

test("what was completed and is missing from a whole state is suspected, with its id", () => {
  const leaks = suspectedLeaks({
    events: [
      started("a_b.x"),
      completed("a_b.x", "i-1"),
      started("a_b.y"),
      completed("a_b.y", "i-2"),
    ],
    base: state({}),
    state: state({ x: "i-1" }),
    clean: false,
  });
  assert.deepEqual(leaks, [{ address: "a_b.y", type: "a_b", id: "i-2", why: "completed" }]);
});

test("what was started and neither completed nor recorded is suspected after a crash only", () => {
  const facts = { events: [started("a_b.x")], base: null, state: state({}) };
  assert.deepEqual(
    suspectedLeaks({ ...facts, clean: false }).map(({ address, why }) => [address, why]),
    [["a_b.x", "started"]],
  );
  assert.deepEqual(suspectedLeaks({ ...facts, clean: true }), []);
});

test("a completed object that is missing is suspected after a clean end too", () => {
  const facts = { events: [completed("a_b.x", "i-1")], base: null, clean: true };
  assert.equal(suspectedLeaks({ ...facts, state: state({}) }).length, 1);
  assert.equal(suspectedLeaks({ ...facts, state: null }).length, 1);
});

test("an old object at the address does not hide its lost replacement", () => {
  const base = state({ x: "i-old" });
  assert.equal(
    suspectedLeaks({ events: [started("a_b.x")], base, state: base, clean: false }).length,
    1,
  );
  const replaced = [started("a_b.x"), completed("a_b.x", "i-new")];
  assert.equal(suspectedLeaks({ events: replaced, base, state: base, clean: false }).length, 1);
  assert.deepEqual(
    suspectedLeaks({ events: replaced, base, state: state({ x: "i-new" }), clean: false }),
    [],
  );
});

test("an error reported for a creation counts as begun when the program was killed afterwards", () => {
  const events = [started("a_b.x"), { ...started("a_b.x"), kind: "errored" as const }];
  assert.equal(suspectedLeaks({ events, base: null, state: state({}), clean: false }).length, 1);
  assert.equal(suspectedLeaks({ events, base: null, state: state({}), clean: true }).length, 0);
});

test("updates and removals leave nothing behind", () => {
  const events = [
    { ...started("a_b.x"), action: "update" },
    { ...started("a_b.y"), action: "delete" },
    { ...started("a_b.y"), action: "delete", kind: "completed" as const },
  ];
  assert.deepEqual(suspectedLeaks({ events, base: null, state: state({}), clean: false }), []);
});

test("types that live nowhere else are never suspected", () => {
  const events = [
    "terraform_data",
    "null_resource",
    "random_id",
    "time_sleep",
    "tls_cert",
    "local_file",
  ].map((type) => ({ ...started(`${type}.x`), type }));
  assert.deepEqual(suspectedLeaks({ events, base: null, state: null, clean: false }), []);
  assert.equal(livesNowhereElse("terraform_data_x"), false);
  assert.equal(livesNowhereElse("localhost_thing"), false);
});

function started(address: string): HookEvent {
  return { kind: "started", action: "create", address, type: "a_b", idKey: null, id: null };
}

function completed(address: string, id: string): HookEvent {
  return { kind: "completed", action: "create", address, type: "a_b", idKey: "id", id };
}

function state(ids: Readonly<Record<string, string>>): TerraformState {
  const resources = Object.entries(ids).map(([name, id]) => ({
    mode: "managed",
    type: "a_b",
    name,
    provider: 'provider["example.com/x/a"]',
    instances: [{ attributes: { id } }],
  }));
  const parsed = parseState(
    Buffer.from(JSON.stringify({ version: 4, serial: 1, lineage: "l", resources })),
  );
  assert.ok(parsed);
  return parsed;
}
