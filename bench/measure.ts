import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What may be asked for other than usual. */
export interface BenchOptions {
  /** Runs where there are many of them beside those of others; a suite says how many it has otherwise. */
  readonly runs: number | null;
}

/** One measured line of the table. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly target: string;
  readonly ok: boolean;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

/** The disk's own price of making 4 KiB durable, where the stores of the benchmarks lie. */
export function fdatasyncMedianMs(times = 300): number {
  const directory = mkdtempSync(join(tmpdir(), "glasshouse-bench-"));
  const file = openSync(join(directory, "probe"), "w");
  const block = Buffer.alloc(4_096, 1);
  const took: number[] = [];
  try {
    for (let at = 0; at < times; at += 1) {
      writeSync(file, block);
      const begun = performance.now();
      fdatasyncSync(file);
      took.push(performance.now() - begun);
    }
  } finally {
    closeSync(file);
    rmSync(directory, { recursive: true });
  }
  return median(took);
}

export function shown(name: string, value: number, unit: string): Row {
  return { name, value, unit, target: "shown", ok: true };
}

export function atLeast(
  name: string,
  of: { readonly value: number; readonly unit: string; readonly least: number },
): Row {
  return {
    name,
    value: of.value,
    unit: of.unit,
    target: `≥ ${of.least}`,
    ok: of.value >= of.least,
  };
}
