import {
  closeSync,
  fdatasyncSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

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

/**
 * How often this process asked the disk to sync while `fn` ran. SQLite's syncs cannot be seen from inside, so they are
 * counted as the kernel counts them: by the write system calls of a FULL commit there is one sync a commit; see
 * `GLASSHOUSE_BENCH_STRACE` for the check with strace.
 */
export async function fsyncsOf<T>(
  fn: () => Promise<T>,
): Promise<{ readonly result: T; readonly fsyncs: number }> {
  const before = syncCount();
  const result = await fn();
  return { result, fsyncs: syncCount() - before };
}

function syncCount(): number {
  const io = readFileSync("/proc/self/io", "utf8");
  return Number(/syscw: (\d+)/u.exec(io)?.[1] ?? Number.NaN);
}
