import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json } from "../../../lib/json.ts";
import { collectOutputs, observedResources } from "./observed.ts";
import { parseState } from "./state-file.ts";

const redact = (text: string): string => text.replaceAll("hush-hush", "(secret)");

test("a resource shows its address, type, id and attributes without nulls and secrets", () => {
  const attributes = {
    id: "i-1",
    name: "n",
    size: 3,
    gone: null,
    token: "t",
    note: "is hush-hush",
  };
  assert.deepEqual(look(attributes), [
    {
      address: "a_b.x",
      type: "a_b",
      externalId: "i-1",
      attributes: { id: "i-1", name: "n", size: 3, token: "(secret)", note: "is (secret)" },
    },
  ]);
});

test("long texts and lists are cut after redaction, and attributes stay below their bound", () => {
  const [seen] = look({
    text: `${"x".repeat(509)}hush-hush`,
    list: Array.from({ length: 99 }, () => 1),
  });
  assert.equal(seen?.attributes["text"], `${"x".repeat(509)}(se…`);
  assert.equal(Array.isArray(seen.attributes["list"]) && seen.attributes["list"].length, 20);
  const many = Object.fromEntries(Array.from({ length: 99 }, (_, n) => [`k${n}`, "y".repeat(400)]));
  assert.ok(JSON.stringify(look(many)[0]?.attributes).length <= 4100);
});

test("an output that nobody marked is sealed when a known secret is in it", async () => {
  const sealed: string[] = [];
  const outputs = await collectOutputs({
    outputs: {
      open: { value: ["a", 1], sensitive: false },
      leaky: { value: { url: "x://hush-hush@y", n: 2 }, sensitive: false },
      marked: { value: null, sensitive: true },
      extra: { value: 1, sensitive: false },
    },
    declared: ["open", "leaky", "marked", "missing", "toString"],
    redact,
    seal: (name, plain) => {
      sealed.push(`${name}=${plain}`);
      return Promise.resolve({ $secret: name, fingerprint: "f" });
    },
  });
  assert.deepEqual(outputs, {
    open: ["a", 1],
    leaky: {
      url: { $secret: "leaky.url", fingerprint: "f" },
      n: { $secret: "leaky.n", fingerprint: "f" },
    },
    marked: null,
  });
  assert.deepEqual(sealed, ["leaky.url=x://hush-hush@y", "leaky.n=2"]);
});

function look(attributes: Readonly<Record<string, Json>>): ReturnType<typeof observedResources> {
  const item = {
    mode: "managed",
    type: "a_b",
    name: "x",
    provider: "",
    instances: [{ attributes }],
  };
  const text = JSON.stringify({ version: 4, serial: 1, lineage: "l", resources: [item] });
  const state = parseState(Buffer.from(text));
  assert.ok(state);
  return observedResources(state, redact);
}
