import type { Json } from "../lib/json.ts";
import { isJsonObject } from "../lib/json.ts";

/** Calls `visit` for every string within a tree, in order, with its JSON pointer. Keys are not visited: they hold no expressions. */
export function eachText(
  value: Json,
  visit: (text: string, pointer: string) => void,
  pointer = "",
): void {
  if (typeof value === "string") visit(value, pointer);
  else if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) eachText(item, visit, `${pointer}/${index}`);
  } else if (isJsonObject(value)) {
    for (const [key, item] of Object.entries(value)) {
      eachText(item, visit, `${pointer}/${escapePointer(key)}`);
    }
  }
}

/** A key as a part of a JSON pointer (RFC 6901). */
export function escapePointer(key: string): string {
  return key.replaceAll("~", "~0").replaceAll("/", "~1");
}

/** Offsets within an expression become offsets within the string that holds it. */
export function shiftRange<T extends { readonly start: number; readonly end: number }>(
  item: T,
  by: number,
): T {
  return { ...item, start: item.start + by, end: item.end + by };
}
