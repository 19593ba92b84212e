import assert from "node:assert/strict";
import { test } from "node:test";
import { parametersJsonSchema } from "./parameters-schema.ts";
import { settingsJsonSchema, templateJsonSchema } from "./template-schema.ts";
import { isJsonObject } from "../lib/json.ts";
import type { Json } from "../lib/json.ts";

function at(value: Json | undefined, ...path: readonly string[]): Json | undefined {
  return path.reduce<Json | undefined>(
    (found, key) => (isJsonObject(found) ? found[key] : undefined),
    value,
  );
}

test("executors' settings come under `with`, chosen by the executor's name", () => {
  const schema = templateJsonSchema([
    {
      name: "command",
      settings: {
        type: "object",
        fields: { create: { type: "list", items: { type: "scalar" }, required: true } },
      },
    },
  ]);
  const group = at(schema, "properties", "groups", "additionalProperties");
  assert.deepEqual(at(group, "properties", "executor", "enum"), ["command"]);
  assert.match(JSON.stringify(at(group, "allOf")), /"const":"command".*"required":\["create"\]/u);
  assert.equal(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
});

test("what is not text may be an expression, unless it must be written out", () => {
  assert.match(JSON.stringify(settingsJsonSchema({ type: "integer" })), /anyOf.*integer.*pattern/u);
  assert.deepEqual(settingsJsonSchema({ type: "boolean", literal: true }), { type: "boolean" });
  assert.deepEqual(settingsJsonSchema({ type: "string", notAvailable: true }), {
    not: {},
    description: "Not available in this version",
  });
});

test("a template's parameters are described with their rules, and secrets as such", () => {
  const plain = { description: "", secret: false, immutable: false } as const;
  const schema = parametersJsonSchema({
    name: "t",
    version: "1.0.0",
    parameters: {
      n: { ...plain, type: "integer", minimum: 1, default: 2, description: "How many" },
      zones: { ...plain, type: "list", items: "string", maxItems: 3, immutable: true },
      labels: { ...plain, type: "map", items: "integer", default: {} },
      token: { ...plain, type: "string", secret: true, minLength: 8 },
    },
  });
  assert.deepEqual(schema["properties"], {
    n: { type: "integer", minimum: 1, default: 2, description: "How many" },
    zones: { type: "array", items: { type: "string" }, maxItems: 3, "x-immutable": true },
    labels: { type: "object", additionalProperties: { type: "integer" }, default: {} },
    token: { type: "string", minLength: 8, writeOnly: true, format: "password" },
  });
  assert.deepEqual(schema["required"], ["zones", "token"]);
});
