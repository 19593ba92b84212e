import type { Call } from "./call.ts";
import { pad, painter, safe, widthOf, type Style } from "./text.ts";

/** One column of a list. */
export interface Column<T> {
  readonly title: string;
  readonly value: (item: T) => string;
  readonly style?: (item: T) => Style | null;
  /** Only with `-o wide`. */
  readonly wide?: true;
}

/** Lines of a table, its columns as wide as their widest cell. Every cell is made safe. */
export function tableLines<T>(
  call: Pick<Call, "terminal" | "format">,
  items: readonly T[],
  all: readonly Column<T>[],
): readonly string[] {
  const columns = all.filter((column) => column.wide !== true || call.format === "wide");
  const head = columns.map(({ title }): Cell => ({ text: title, style: "bold" }));
  const rows = items.map((item) =>
    columns.map(({ value, style }): Cell => ({
      text: value(item),
      style: style?.(item) ?? null,
    })),
  );
  return alignedLines(call, [head, ...rows]);
}

export interface Cell {
  readonly text: string;
  readonly style?: Style | null;
}

/** Lines of rows whose cells stand below each other, without space at their ends. A column with nothing in it is left out. */
export function alignedLines(
  { terminal }: Pick<Call, "terminal">,
  rows: readonly (readonly Cell[])[],
): readonly string[] {
  const paint = painter(terminal, "out");
  const shown = rows.map((row) => row.map((cell) => ({ ...cell, text: safe(cell.text) })));
  const count = Math.max(0, ...shown.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, at) =>
    Math.max(...shown.map((row) => widthOf(row[at]?.text ?? ""))),
  );
  return shown.map((row) =>
    row
      .flatMap(({ text, style = null }, at) => {
        const width = widths[at] ?? 0;
        if (width === 0) return [];
        return [pad(style === null || text === "" ? text : paint(style, text), width)];
      })
      .join("  ")
      .trimEnd(),
  );
}
