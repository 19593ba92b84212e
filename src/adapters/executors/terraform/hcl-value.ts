import type { Json, JsonObject } from "../../../lib/json.ts";
import { isJsonObject } from "../../../lib/json.ts";

/**
 * The text of a Terraform variable file in HCL's native syntax, one definition a line. It is handed over by a
 * descriptor, whose name has no `.json` at its end, so JSON syntax is not possible there. Names must be identifiers.
 * Terraform reads back the same values, except that it stores text in Unicode's composed form (NFC).
 */
export function variableFile(variables: JsonObject): string {
  return Object.entries(variables)
    .map(([name, value]) => `${name} = ${hclValue(value)}\n`)
    .join("");
}

/** One JSON value as an HCL expression without references. */
export function hclValue(value: Json): string {
  if (typeof value === "string") return hclString(value);
  if (Array.isArray(value)) return `[${value.map((item: Json) => hclValue(item)).join(", ")}]`;
  if (isJsonObject(value)) {
    const members = Object.entries(value).map(
      ([key, item]) => `${hclString(key)} = ${hclValue(item)}`,
    );
    return `{${members.join(", ")}}`;
  }
  return JSON.stringify(value);
}

/**
 * A quoted string that means exactly this text. `$` and `%` before `{` would begin a template; doubling them, as HCL's
 * own escape does, is ambiguous after another `$`, so the code point is written instead. Lone surrogates are not
 * Unicode text and become U+FFFD.
 */
function hclString(text: string): string {
  return `"${text.toWellFormed().replaceAll(special, escapeCharacter)}"`;
}

// eslint-disable-next-line no-control-regex -- control characters are what must be escaped
const special = /["\\\u0000-\u001f\u007f-\u009f\u2028\u2029\ufeff]|[$%](?=\{)/gu;

function escapeCharacter(character: string): string {
  if (character === '"' || character === "\\") return `\\${character}`;
  if (character === "\n") return "\\n";
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
