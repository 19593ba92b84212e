import type { JsonObject } from "../lib/json.ts";
import type { Parameter, TemplateBody } from "../domain/template.ts";

export const schemaDialect = "https://json-schema.org/draft/2020-12/schema";

/** The JSON Schema of a template's parameters, as a create command takes them. */
export function parametersJsonSchema(
  body: Pick<TemplateBody, "name" | "version" | "parameters">,
): JsonObject {
  const declared = Object.entries(body.parameters);
  const required = declared.filter(([, one]) => one.default === undefined).map(([name]) => name);
  return {
    $schema: schemaDialect,
    title: `Parameters of ${body.name} ${body.version}`,
    type: "object",
    properties: Object.fromEntries(declared.map(([name, one]) => [name, parameterJsonSchema(one)])),
    additionalProperties: false,
    ...(required.length > 0 ? { required } : {}),
  };
}

function parameterJsonSchema(parameter: Parameter): JsonObject {
  const { type, description, secret, immutable, items, minItems, maxItems, ...rules } = parameter;
  const about = description === "" ? {} : { description };
  const marks = {
    ...(secret ? { writeOnly: true, format: "password" } : {}),
    ...(immutable ? { "x-immutable": true } : {}),
  };
  const inner = items === undefined ? {} : { type: items };
  const least = minItems ?? null;
  const most = maxItems ?? null;
  if (type === "list") {
    return {
      type: "array",
      items: inner,
      ...bounds(["minItems", least], ["maxItems", most]),
      ...rules,
      ...about,
      ...marks,
    };
  }
  if (type === "map") {
    return {
      type: "object",
      additionalProperties: inner,
      ...bounds(["minProperties", least], ["maxProperties", most]),
      ...rules,
      ...about,
      ...marks,
    };
  }
  return { type, ...rules, ...about, ...marks };
}

function bounds(...pairs: readonly (readonly [string, number | null])[]): JsonObject {
  return Object.fromEntries(pairs.filter(([, value]) => value !== null));
}
