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
  const paint = painter(call.terminal, "out");
  const columns = all.filter((column) => column.wide !== true || call.format === "wide");
  const rows = items.map((item) => columns.map((column) => safe(column.value(item))));
  const widths = columns.map((column, at) =>
    Math.max(widthOf(column.title), ...rows.map((row) => widthOf(row[at] ?? ""))),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => pad(cell, widths[at] ?? 0))
      .join("  ")
      .trimEnd();
  const head = paint("bold", line(columns.map((column) => column.title)));
  const body = rows.map((row, index) =>
    line(
      row.map((cell, at) => {
        const item = items[index];
        const style = item === undefined ? null : (columns[at]?.style?.(item) ?? null);
        return style === null ? cell : paint(style, cell);
      }),
    ),
  );
  return [head, ...body];
}
