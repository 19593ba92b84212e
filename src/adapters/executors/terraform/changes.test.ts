import assert from "node:assert/strict";
import { test } from "node:test";
import { actionOf, changesOf } from "./changes.ts";

const redact = (text: string): string => text.replaceAll("hush-hush", "(secret)");

test("before and after are shown without secrets, with a word for what is not known yet", () => {
  const what = {
    actions: ["update"],
    before: { a: "old", s: "x", copy: "hush-hush", id: "i" },
    after: { a: "new", s: "y", copy: "hush-hush" },
    after_unknown: { id: true, a: false },
    before_sensitive: { s: true },
    after_sensitive: { s: true },
  };
  const document = { resource_changes: [{ address: "a_b.x", type: "a_b", change: what }] };
  assert.deepEqual(changesOf(document, "resource_changes", redact), [
    {
      address: "a_b.x",
      action: "update",
      before: { a: "old", s: "(secret)", copy: "(secret)", id: "i" },
      after: { a: "new", s: "(secret)", copy: "(secret)", id: "(known after apply)" },
    },
  ]);
});

test("reads and no-ops are left out, creations have no before, removals no after", () => {
  const document = {
    resource_changes: [
      item("data", change(["read"], null, {})),
      item("managed", change(["no-op"], { a: 1 }, { a: 1 })),
      item("managed", change(["create"], null, { a: 1 })),
      item("managed", change(["delete"], { a: 1 }, null)),
    ],
  };
  assert.deepEqual(changesOf(document, "resource_changes", redact), [
    { address: "a_b.x", action: "create", after: { a: 1 } },
    { address: "a_b.x", action: "destroy", before: { a: 1 } },
  ]);
  assert.deepEqual(changesOf(document, "resource_drift", redact), []);
});

test("huge values are not shown", () => {
  const what = { actions: ["create"], after: { text: "x".repeat(9000) } };
  const document = { resource_changes: [{ address: "a_b.x", type: "a_b", change: what }] };
  const [shown] = changesOf(document, "resource_changes", redact);
  assert.equal(shown?.after, "(9011 characters, too long to show)");
});

test("both words for a replacement are one", () => {
  assert.equal(actionOf(["delete", "create"]), "replace");
  assert.equal(actionOf(["create", "delete"]), "replace");
  assert.equal(actionOf(["replace"]), "replace");
  assert.equal(actionOf(["delete"]), "destroy");
  assert.equal(actionOf(["read"]), "none");
  assert.equal(actionOf([]), "none");
});

function change(actions: readonly string[], before: unknown, after: unknown): unknown {
  return { actions, before, after, after_unknown: {} };
}

function item(mode: string, what: unknown): unknown {
  return { address: "a_b.x", mode, type: "a_b", change: what };
}
