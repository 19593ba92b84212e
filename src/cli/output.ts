import { stringify } from "yaml";
import type { Call } from "./call.ts";
import { tableLines, type Column } from "./table.ts";
import { pad, painter, safe, widthOf } from "./text.ts";

/** Prints a list in the asked format: a table, the answer of the API, or one name a line. */
export function printList<T>(
  call: Call,
  items: readonly T[],
  shape: {
    readonly columns: readonly Column<T>[];
    readonly name: (item: T) => string;
    /** Said on stderr in place of an empty table. */
    readonly empty: string;
    readonly more?: boolean;
  },
): void {
  if (printData(call, { items, next: null })) return;
  if (call.format === "name") {
    for (const item of items) call.terminal.out(`${safe(shape.name(item))}\n`);
  } else if (items.length === 0) {
    call.terminal.err(`${shape.empty}\n`);
  } else {
    for (const line of tableLines(call, items, shape.columns)) call.terminal.out(`${line}\n`);
  }
  if (shape.more === true)
    call.terminal.err(`There are more; --limit ${items.length * 2} shows them.\n`);
}

/** Prints the data as JSON or YAML when that was asked for, and says whether it did. */
export function printData(call: Pick<Call, "terminal" | "format">, data: unknown): boolean {
  if (call.format === "json") call.terminal.out(`${escapedJson(data)}\n`);
  else if (call.format === "yaml")
    call.terminal.out(stringify(data, { aliasDuplicateObjects: false }));
  else return false;
  return true;
}

/** JSON leaves DEL, C1 and direction marks as they are; a terminal should not see them either. */
function escapedJson(data: unknown): string {
  return JSON.stringify(data, null, 2).replaceAll(
    /[\u007F-\u009F\u200E\u200F\u2028-\u202E\u2066-\u2069]/gu,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Prints one thing: facts in two columns. Empty facts are left out. */
export function printFacts(
  call: Call,
  facts: readonly (readonly [string, string | null | undefined])[],
): void {
  const paint = painter(call.terminal, "out");
  const shown = facts.filter(([, value]) => value !== null && value !== undefined && value !== "");
  const width = Math.max(...shown.map(([name]) => widthOf(name)));
  for (const [name, value] of shown)
    call.terminal.out(`${paint("dim", pad(name, width))}  ${safe(value ?? "")}\n`);
}

export function heading(call: Call, text: string): void {
  call.terminal.out(`\n${painter(call.terminal, "out")("bold", text)}\n`);
}

/** A value on one line: text as it is, everything else as JSON. */
export function oneLine(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

export function joined(values: Readonly<Record<string, unknown>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${oneLine(value)}`)
    .join(", ");
}
