/** What JSON writes in another way than PostgreSQL: all that it escapes beside quotes and backslashes. */
// oxlint-disable-next-line no-control-regex
const unlikeJson = /[\u0000-\u001F\uD800-\uDFFF]/u;

/** An array as https://www.postgresql.org/docs/15/arrays.html#ARRAYS-IO has it. */
export function arrayLiteral(
  cells: readonly (string | number | boolean | null | Uint8Array)[],
): string {
  return `{${cells.map((cell) => element(cell)).join(",")}}`;
}

function element(cell: string | number | boolean | null | Uint8Array): string {
  if (cell === null) return "NULL";
  if (cell instanceof Uint8Array) return `"\\\\x${Buffer.from(cell).toString("hex")}"`;
  if (typeof cell !== "string") return String(cell);
  // By far the fastest way to escape what most texts here have, as they are JSON themselves.
  if (!unlikeJson.test(cell)) return JSON.stringify(cell);
  return `"${cell.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
