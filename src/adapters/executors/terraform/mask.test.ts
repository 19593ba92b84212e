import assert from "node:assert/strict";
import { test } from "node:test";
import {
  maskByName,
  maskMarked,
  maskPaths,
  redactJson,
  secretTexts,
  unwrapDynamic,
} from "./mask.ts";
import type { PathStep } from "./state-file.ts";
import { parseState } from "./state-file.ts";

const mask = "(secret)";
const redact = (text: string): string => text.replaceAll("hush", "*");

test("sensitive paths are masked through objects, lists, maps and values of any type", () => {
  const attributes = {
    plain: "a",
    list: ["a", "b"],
    map: { k: "v", l: "w" },
    any: { value: { x: "s", y: 1 }, type: ["object", { x: "string", y: "number" }] },
  };
  const paths = [
    [get("list"), at(1)],
    [get("map"), index("k")],
    [get("any"), get("x")],
  ];
  const masked = unwrapDynamic(maskPaths(attributes, paths));
  assert.deepEqual(masked, {
    plain: "a",
    list: ["a", mask],
    map: { k: mask, l: "w" },
    any: { x: mask, y: 1 },
  });
});

test("a path that cannot be followed masks more, never less", () => {
  assert.deepEqual(maskPaths({ a: "s" }, [[get("a"), get("b")]]), { a: mask });
  assert.deepEqual(maskPaths({ a: ["s"] }, [[get("a"), { type: "index" }]]), { a: mask });
  assert.deepEqual(maskPaths({ a: { b: "s" } }, [[get("a"), get("c")]]), { a: mask });
  assert.deepEqual(maskPaths({ a: null }, [[get("a")]]), { a: null });
});

test("a plan's marks mask whole values and parts of them", () => {
  assert.equal(maskMarked("s", true), mask);
  assert.equal(maskMarked(null, true), null);
  assert.deepEqual(maskMarked({ a: ["x", "s"], b: "y" }, { a: [false, true] }), {
    a: ["x", mask],
    b: "y",
  });
  assert.deepEqual(maskMarked({ a: "x" }, false), { a: "x" });
});

test("names that usually hold secrets are masked, names about them are not", () => {
  const value = {
    password: "s",
    master_password: "s",
    nested: [{ access_key: "s", client_secret: "s", api_key: "s", token: "s" }],
    secret_id: "i",
    token_type: "t",
    access_key_id: "i",
    name: "n",
  };
  assert.deepEqual(maskByName(value, "a_b"), {
    password: mask,
    master_password: mask,
    nested: [{ access_key: mask, client_secret: mask, api_key: mask, token: mask }],
    secret_id: "i",
    token_type: "t",
    access_key_id: "i",
    name: "n",
  });
  assert.deepEqual(maskByName({ result: "s" }, "random_password"), { result: mask });
  assert.deepEqual(maskByName({ result: "s" }, "random_id"), { result: "s" });
});

test("a state's secrets are its sensitive outputs and attributes, wherever they lie", () => {
  const attributes = {
    id: "i",
    token: "named",
    any: { value: { x: "marked" }, type: ["object", {}] },
  };
  const item = { attributes, sensitive_attributes: [[get("any"), get("x")]] };
  const state = parseState(
    Buffer.from(
      JSON.stringify({
        version: 4,
        serial: 1,
        lineage: "l",
        outputs: { a: { value: { k: ["out", 5] }, sensitive: true }, b: { value: "open" } },
        resources: [{ mode: "managed", type: "a_b", name: "x", provider: "", instances: [item] }],
      }),
    ),
  );
  assert.ok(state);
  assert.deepEqual(secretTexts(state), ["out", "5", "marked", "named"]);
});

test("redaction reaches keys and values at any depth", () => {
  assert.deepEqual(redactJson({ "k-hush": ["hush", { a: "x hush" }], n: 1 }, redact), {
    "k-*": ["*", { a: "x *" }],
    n: 1,
  });
});

function get(name: string): PathStep {
  return { type: "get_attr", value: name };
}

function index(key: string): PathStep {
  return { type: "index", value: { value: key, type: "string" } };
}

function at(position: number): PathStep {
  return { type: "index", value: { value: position, type: "number" } };
}
