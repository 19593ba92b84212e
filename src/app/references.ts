import { isJsonObject, type Json } from "../lib/json.ts";

/** Each text of the configuration that begins like this, once. */
export function referencesIn(value: Json, prefix: string): readonly string[] {
  return [...new Set(all(value, prefix))];
}

function all(value: Json, prefix: string): readonly string[] {
  if (typeof value === "string") return value.startsWith(prefix) ? [value] : [];
  if (Array.isArray(value)) return value.flatMap((item: Json) => all(item, prefix));
  return isJsonObject(value) ? Object.values(value).flatMap((item) => all(item, prefix)) : [];
}
