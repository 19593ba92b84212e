interface Cell {
  readonly complaints: readonly string[];
  readonly words: string;
}

/** What crash tests found, printed at the end of their file: a line each place, a column each way to end. */
export class CrashTable {
  readonly #heading: string;
  readonly #rows = new Map<string, Map<string, string>>();
  readonly #columns: string[] = [];

  constructor(heading: string) {
    this.#heading = heading;
  }

  put(row: string, column: string, { complaints, words }: Cell): void {
    if (!this.#columns.includes(column)) this.#columns.push(column);
    const cells = this.#rows.get(row) ?? new Map<string, string>();
    cells.set(column, complaints.length === 0 ? words : `BROKEN: ${complaints.join("; ")}`);
    this.#rows.set(row, cells);
  }

  print(): void {
    const lines = [[this.#heading, ...this.#columns]];
    for (const [row, cells] of this.#rows)
      lines.push([row, ...this.#columns.map((column) => cells.get(column) ?? "-")]);
    const widths = lines[0]?.map((_, at) =>
      Math.max(...lines.map((line) => line[at]?.length ?? 0)),
    );
    const text = lines.map((line) =>
      line.map((cell, at) => cell.padEnd(widths?.[at] ?? 0)).join("  "),
    );
    process.stdout.write(`\n${text.join("\n")}\n\n`);
  }
}
