import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { KvEntry } from "../../../clients/consul/kv.ts";
import { differences, shownChange, type Comparing } from "./difference.ts";
import { fingerprint, markOf, type Known } from "./memory.ts";

const place = { datacenter: null, prefix: "shop/e/" };
const mark = markOf("glasshouse/env_1/settings");
const nothing: Known = {
  memory: null,
  attempted: null,
  places: [],
  serial: 0,
  isDriftKnown: false,
};

function entry(name: string, text: string, more: Partial<KvEntry> = {}): KvEntry {
  const about = { flags: mark, createIndex: 10, modifyIndex: 10 };
  return { key: `shop/e/${name}`, value: Buffer.from(text), ...about, ...more };
}

/** What the record says of keys that were written with these values at index 10. */
function applied(keys: Readonly<Record<string, string>>): Known {
  const memory = Object.entries(keys).map(([name, text]) => [name, [10, fingerprint(text)]]);
  return {
    ...nothing,
    memory: { place, serial: 1, keys: Object.fromEntries(memory) },
  };
}

function compare(
  wanted: Readonly<Record<string, string>>,
  of: { readonly entries: readonly KvEntry[]; readonly known?: Known },
): readonly (readonly [string, string, string | null])[] {
  const comparing: Comparing = {
    found: [{ place, entries: of.entries }],
    known: of.known ?? nothing,
    mark,
  };
  return differences({ place, keys: new Map(Object.entries(wanted)) }, comparing).map(
    ({ key, action, objection }) => [key.slice(place.prefix.length), action, objection],
  );
}

describe("what parts keys from what is wanted", () => {
  test("is what must be made, changed, removed and left", () => {
    const entries = [entry("same", "1"), entry("other", "1"), entry("old", "1")];
    assert.deepEqual(compare({ new: "1", same: "1", other: "2" }, { entries }), [
      ["new", "create", null],
      ["same", "none", null],
      ["other", "update", null],
      ["old", "destroy", null],
    ]);
  });

  test("never is a key of somebody else, unless it is in the way", () => {
    const entries = [entry("theirs", "x", { flags: 0 }), entry("too", "x", { flags: 7 })];
    assert.deepEqual(compare({ theirs: "x" }, { entries }), [["theirs", "update", "foreign"]]);
  });

  test("shows a key of ours that another has written, whether he kept its mark or not", () => {
    const known = applied({ bare: "1", marked: "1" });
    const entries = [
      entry("bare", "9", { flags: 0, modifyIndex: 20 }),
      entry("marked", "9", { modifyIndex: 21 }),
    ];
    assert.deepEqual(compare({ bare: "1", marked: "1" }, { entries, known }), [
      ["bare", "update", "changed"],
      ["marked", "update", "changed"],
    ]);
    assert.deepEqual(compare({}, { entries, known }), [
      ["bare", "destroy", "changed"],
      ["marked", "destroy", "changed"],
    ]);
  });

  test("takes a key that was removed and made anew for somebody else's", () => {
    const known = applied({ key: "1" });
    const entries = [entry("key", "1", { flags: 0, createIndex: 30, modifyIndex: 30 })];
    assert.deepEqual(compare({ key: "1" }, { entries, known }), [["key", "update", "foreign"]]);
    assert.deepEqual(compare({}, { entries, known }), []);
  });

  test("knows what an attempt that was cut off has written", () => {
    const attempted = { place, keys: new Map([["key", "2"]]) };
    const known = { ...applied({ key: "1", rest: "1" }), attempted };
    const entries = [entry("key", "2", { modifyIndex: 40 }), entry("rest", "1")];
    assert.deepEqual(compare({ key: "3", rest: "3" }, { entries, known }), [
      ["key", "update", null],
      ["rest", "update", null],
    ]);
  });

  test("is shown with values cut short", () => {
    const change = { action: "create", place, key: "shop/e/a", objection: null } as const;
    const shown = shownChange({ ...change, entry: null, text: "x".repeat(5_000) });
    assert.ok(JSON.stringify(shown).length < 1_200);
    assert.match(JSON.stringify(shown), /5000 in all/u);
  });
});
