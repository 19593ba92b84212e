import assert from "node:assert/strict";
import { test } from "node:test";
import { currentInstances, emptyState, parseState } from "./state-file.ts";

test("addresses are written as Terraform writes them", () => {
  const state = parse({
    resources: [
      item({ name: "one", instances: [{}] }),
      item({ name: "count", instances: [{ index_key: 0 }, { index_key: 10 }] }),
      item({ module: 'module.m["k"]', name: "each", instances: [{ index_key: 'c"d${x}' }] }),
    ],
  });
  assert.deepEqual(
    state?.instances.map(({ address }) => address),
    ["a_b.one", "a_b.count[0]", "a_b.count[10]", 'module.m["k"].a_b.each["c\\"d$${x}"]'],
  );
});

test("keys are quoted as Terraform 1.11.4 was seen to quote them", () => {
  const keys = [
    "a${b",
    "p%{q",
    "$${x",
    "t\tz",
    'q"\\',
    "n\nr\r",
    "\u0001",
    "\u00a0",
    "\u2028",
    "é😀",
  ];
  const state = parse({
    resources: [item({ name: "x", instances: keys.map((key) => ({ index_key: key })) })],
  });
  assert.deepEqual(
    state?.instances.map(({ address }) => address.slice("a_b.x[".length, -1)),
    [
      '"a$${b"',
      '"p%%{q"',
      '"$$${x"',
      '"t\\tz"',
      '"q\\"\\\\"',
      '"n\\nr\\r"',
      '"\\u0001"',
      '"\\u00a0"',
      '"\\u2028"',
      '"é😀"',
    ],
  );
});

test("an empty, cut off or foreign file is no state", () => {
  const whole = text({ resources: [] });
  assert.notEqual(parseState(whole), null);
  for (const bytes of [Buffer.alloc(0), whole.subarray(0, -1), Buffer.from("null")]) {
    assert.equal(parseState(bytes), null);
  }
  assert.equal(parse({ version: 3 }), null);
  assert.equal(parse({ lineage: "" }), null);
  assert.equal(parse({ serial: -1 }), null);
});

test("every proper prefix of a state is refused", () => {
  const whole = text({
    resources: [item({ name: "x", instances: [{ attributes: { id: "1" } }] })],
  });
  for (let length = 0; length < whole.length; length += 1) {
    assert.equal(parseState(whole.subarray(0, length)), null);
  }
});

test("data that was only read is left out, deposed objects are not current", () => {
  const state = parse({
    resources: [
      { ...item({ name: "seen", instances: [{}] }), mode: "data" },
      item({ name: "x", instances: [{ deposed: "1f" }] }),
    ],
  });
  assert.ok(state);
  assert.deepEqual(
    state.instances.map(({ address }) => address),
    ["a_b.x"],
  );
  assert.equal(currentInstances(state).size, 0);
});

test("providers are named once, the built-in one is not", () => {
  const state = parse({
    resources: [
      item({ name: "x", provider: 'provider["terraform.io/builtin/terraform"]' }),
      item({ name: "y", provider: 'module.m.provider["example.com/x/a"].other' }),
      item({ name: "z", provider: 'provider["example.com/x/a"]' }),
    ],
  });
  assert.deepEqual(state?.providers, ["example.com/x/a"]);
});

test("unknown fields are accepted, as newer versions add them", () => {
  assert.notEqual(parse({ check_results: null, later: { x: 1 } }), null);
});

test("an empty state is whole, and its lineage is that of its owner", () => {
  const [one, same, other] = ["a", "a", "b"].map((owner) => emptyState(owner, "1.11.4"));
  assert.ok(one && same && other);
  assert.deepEqual(parseState(one.bytes), one);
  assert.match(one.lineage, /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/u);
  assert.equal(one.lineage, same.lineage);
  assert.notEqual(one.lineage, other.lineage);
});

function item(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return { mode: "managed", type: "a_b", provider: 'provider["e/x/a"]', instances: [], ...fields };
}

function text(fields: Readonly<Record<string, unknown>>): Buffer {
  return Buffer.from(JSON.stringify({ version: 4, serial: 1, lineage: "l", ...fields }));
}

function parse(fields: Readonly<Record<string, unknown>>): ReturnType<typeof parseState> {
  return parseState(text(fields));
}
