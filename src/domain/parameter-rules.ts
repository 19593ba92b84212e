import { canonicalJson, isJsonObject } from "../lib/json.ts";
import type { Json } from "../lib/json.ts";
import { compilePattern } from "../lib/pattern.ts";
import type { Pattern } from "../lib/pattern.ts";
import type { Parameter } from "./template.ts";

/** A text that is checked against a pattern may be so long: patterns run in linear time, so this bounds their cost. */
export const maximumPatternText = 4_096;

/**
 * What of a plain value does not fit its declaration, as ends of a sentence that begins with the parameter's name. The
 * values of secret parameters are not shown.
 */
export function valueMistakes(parameter: Parameter, value: Json): readonly string[] {
  const misfit = typeMistake(parameter, value);
  if (misfit !== null) return [misfit];
  const found = [enumMistake(parameter, value)];
  if (typeof value === "number") found.push(...rangeMistakes(parameter, value));
  if (typeof value === "string") found.push(...textMistakes(parameter, value));
  if (typeof value === "object" && value !== null) found.push(...memberMistakes(parameter, value));
  return found.filter((one) => one !== null);
}

function typeMistake(parameter: Parameter, value: Json): string | null {
  if (typeTests[parameter.type](value)) return null;
  if (value === null) return `is null: give it ${wanted(parameter.type)}, or leave it out`;
  const hint =
    parameter.type === "integer" && typeof value === "number"
      ? " (whole, at most ±9007199254740991)"
      : "";
  return `must be ${wanted(parameter.type)}${hint}, not ${parameter.secret ? kindOf(value) : shown(value)}`;
}

const typeTests = {
  string: (value) => typeof value === "string",
  integer: (value) => Number.isSafeInteger(value),
  number: (value) => Number.isFinite(value),
  boolean: (value) => typeof value === "boolean",
  list: (value) => Array.isArray(value),
  map: (value) => isJsonObject(value),
} as const satisfies Record<Parameter["type"], (value: Json) => boolean>;

function wanted(type: Parameter["type"]): string {
  if (type === "boolean") return "true or false";
  return type === "integer" ? "an integer" : `a ${type}`;
}

function kindOf(value: Json): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "a map" : `a ${typeof value}`;
}

function shown(value: Json): string {
  const text = JSON.stringify(value);
  return text.length <= 60 ? text : `${kindOf(value)} (${text.slice(0, 57)}…)`;
}

function enumMistake(parameter: Parameter, value: Json): string | null {
  if (parameter.enum === undefined) return null;
  const text = canonicalJson(value);
  if (parameter.enum.some((allowed) => canonicalJson(allowed) === text)) return null;
  const allowed = parameter.enum.map((one) => JSON.stringify(one)).join(", ");
  return `must be one of ${allowed}${parameter.secret ? "" : `, not ${shown(value)}`}`;
}

function rangeMistakes({ minimum, maximum }: Parameter, value: number): (string | null)[] {
  return [
    minimum !== undefined && value < minimum ? `must be at least ${minimum}, not ${value}` : null,
    maximum !== undefined && value > maximum ? `must be at most ${maximum}, not ${value}` : null,
  ];
}

function textMistakes(parameter: Parameter, value: string): (string | null)[] {
  const length = Array.from(value).length;
  const { minLength, maxLength } = parameter;
  return [
    minLength !== undefined && length < minLength
      ? `must have at least ${minLength} characters, not ${length}`
      : null,
    maxLength !== undefined && length > maxLength
      ? `must have at most ${maxLength} characters, not ${length}`
      : null,
    patternMistake(parameter, value),
  ];
}

function patternMistake(parameter: Parameter, value: string): string | null {
  if (parameter.pattern === undefined) return null;
  if (value.length > maximumPatternText) {
    return `must have at most ${maximumPatternText} characters, as it has a pattern, not ${value.length}`;
  }
  const pattern = patternOf(parameter.pattern);
  if (pattern?.test(value) === true) return null;
  return `must match ${parameter.pattern}${parameter.secret ? "" : `, which ${shown(value)} does not`}`;
}

const patterns = new Map<string, Pattern>();

/** Null for a pattern that cannot be used: then nothing matches it. Registration refuses such a template. */
function patternOf(source: string): Pattern | null {
  const known = patterns.get(source);
  if (known !== undefined) return known;
  const compiled = compilePattern(source);
  if (!("test" in compiled)) return null;
  if (patterns.size >= 256) patterns.clear();
  patterns.set(source, compiled);
  return compiled;
}

function memberMistakes(parameter: Parameter, value: Json): (string | null)[] {
  const members = Array.isArray(value) ? [...value.entries()] : Object.entries(value ?? {});
  const { minItems, maxItems, items } = parameter;
  const found: (string | null)[] = [
    minItems !== undefined && members.length < minItems
      ? `must have at least ${minItems} items, not ${members.length}`
      : null,
    maxItems !== undefined && members.length > maxItems
      ? `must have at most ${maxItems} items, not ${members.length}`
      : null,
  ];
  if (items === undefined) return found;
  for (const [key, item] of members) {
    if (typeTests[items](item)) continue;
    const given = parameter.secret ? kindOf(item) : shown(item);
    found.push(
      `must hold only ${items} values, but ${Array.isArray(value) ? `item ${key}` : key} is ${given}`,
    );
    if (found.length > 10) break;
  }
  return found;
}
