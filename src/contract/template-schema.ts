import { z } from "zod";
import { isJsonObject } from "../lib/json.ts";
import type { Json, JsonObject } from "../lib/json.ts";
import type { SettingsShape } from "../domain/settings.ts";
import { schemaDialect } from "./parameters-schema.ts";
import { templateSchema } from "./template.ts";

const expressionSchema = {
  type: "string",
  pattern: "^\\$\\{\\{[\\s\\S]*\\}\\}$",
  description: 'An expression, quoted: "${{ … }}"',
} as const;

/**
 * The JSON Schema (draft 2020-12) of template.yaml for editors, with the settings of these executors under `with`. It
 * is looser than the check at registration, which also follows references, types and files.
 */
export function templateJsonSchema(
  executors: readonly { readonly name: string; readonly settings: SettingsShape }[],
): JsonObject {
  const schema = asObject(
    toJson(
      z.toJSONSchema(templateSchema, {
        io: "input",
        target: "draft-2020-12",
        unrepresentable: "any",
      }),
    ),
  );
  const properties = asObject(schema["properties"]);
  const groups = asObject(properties["groups"]);
  const group = asObject(groups["additionalProperties"]);
  const groupProperties = asObject(group["properties"]);
  const withSettings = {
    ...group,
    properties: {
      ...groupProperties,
      executor: {
        ...asObject(groupProperties["executor"]),
        enum: executors.map((one) => one.name),
      },
    },
    allOf: executors.map((one) => ({
      if: { properties: { executor: { const: one.name } }, required: ["executor"] },
      // eslint-disable-next-line unicorn/no-thenable -- the keyword of JSON Schema
      then: { properties: { with: settingsJsonSchema(one.settings) } },
    })),
  };
  return {
    ...schema,
    $schema: schemaDialect,
    // Any JSON: what the library writes for it is a recursive union that says no more.
    $defs: { JsonValue: { description: "Any value" } },
    properties: { ...properties, groups: { ...groups, additionalProperties: withSettings } },
  };
}

/** The JSON Schema of an executor's settings. */
export function settingsJsonSchema(shape: SettingsShape): JsonObject {
  const about = shape.description === undefined ? {} : { description: shape.description };
  if (shape.notAvailable === true) return { not: {}, description: "Not available in this version" };
  const own = shapeSchema(shape);
  const mayBeExpression =
    shape.literal !== true &&
    shape.path !== true &&
    shape.type !== "any" &&
    shape.type !== "string" &&
    shape.type !== "scalar";
  return mayBeExpression ? { anyOf: [own, expressionSchema], ...about } : { ...own, ...about };
}

function shapeSchema(shape: SettingsShape): JsonObject {
  if (shape.type === "any") return {};
  if (shape.type === "object") {
    const fields = Object.entries(shape.fields);
    const required = fields.filter(([, field]) => field.required === true).map(([name]) => name);
    return {
      type: "object",
      properties: Object.fromEntries(
        fields.map(([name, field]) => [name, settingsJsonSchema(field)]),
      ),
      additionalProperties: false,
      ...(required.length > 0 ? { required } : {}),
    };
  }
  if (shape.type === "map") {
    return {
      type: "object",
      additionalProperties: settingsJsonSchema(shape.values),
      ...(shape.keyPattern === undefined ? {} : { propertyNames: { pattern: shape.keyPattern } }),
    };
  }
  if (shape.type === "list") {
    return {
      type: "array",
      items: settingsJsonSchema(shape.items),
      ...(shape.minItems === undefined ? {} : { minItems: shape.minItems }),
    };
  }
  const type: Json = shape.type === "scalar" ? ["string", "number", "boolean"] : shape.type;
  return {
    type,
    ...(shape.enum === undefined ? {} : { enum: shape.enum }),
    ...(shape.pattern === undefined ? {} : { pattern: shape.pattern }),
  };
}

function asObject(value: Json | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}

function toJson(value: unknown): Json {
  const json: Json = JSON.parse(JSON.stringify(value));
  return json;
}
