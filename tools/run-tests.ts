import { spawn } from "node:child_process";
import { chmodSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";

/**
 * Runs suites of tests one after the other and judges them: `node tools/run-tests.ts unit system [words of file names]`.
 * A suite fails when a test fails, when it has no test or a file without one, or when Node's exit code and its count
 * disagree (an error thrown after its test ended gives exit 1 with no failed test). The last line is `N passed, N failed`.
 */
interface Suite {
  readonly patterns: readonly string[];
  readonly except?: readonly string[];
  /** `none`: all files in one process, which is what keeps hundreds of files under a minute. */
  readonly isolation: "none" | "process";
  readonly timeoutMs: number;
  /** Of files in processes of their own; one unless given, as real servers and crashes share the machine's cores and disk. */
  readonly filesAtOnce?: number;
}

/** The long campaigns, in which a single test runs for an hour. */
const isFull = [process.env["CRASH_TESTS"], process.env["CHAOS_TESTS"]].includes("full");

const suites: Readonly<Record<string, Suite>> = {
  unit: {
    patterns: ["src/**/*.test.ts", "test/*.test.ts", "tools/**/*.test.ts"],
    isolation: "none",
    timeoutMs: 60_000,
  },
  system: {
    patterns: ["test/system/**/*.test.ts"],
    except: ["test/system/**/crash.test.ts"],
    isolation: "process",
    timeoutMs: 300_000,
  },
  crash: {
    patterns: ["test/crash/**/*.test.ts", "test/system/**/crash.test.ts"],
    isolation: "process",
    timeoutMs: isFull ? 3_600_000 : 300_000,
  },
  chaos: {
    patterns: ["test/chaos/**/*.test.ts"],
    isolation: "process",
    // They wait more than they work: for servers that are away, leases that end, children that take their time.
    filesAtOnce: 2,
    timeoutMs: isFull ? 7_200_000 : 900_000,
  },
};

interface Outcome {
  readonly passed: number;
  readonly failed: number;
  readonly complaints: readonly string[];
}

const root = join(import.meta.dirname, "..");

async function main(args: readonly string[]): Promise<number> {
  const names = args.filter((arg) => Object.hasOwn(suites, arg));
  const words = args.filter((arg) => !Object.hasOwn(suites, arg));
  let passed = 0;
  let failed = 0;
  for (const name of names) {
    const outcome = await runSuite(name, words);
    passed += outcome.passed;
    failed += outcome.failed;
    for (const complaint of outcome.complaints) print(`✖ ${name}: ${complaint}`);
  }
  if (passed + failed === 0) {
    print("✖ no test was run");
    failed = 1;
  }
  print(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

async function runSuite(name: string, words: readonly string[]): Promise<Outcome> {
  const suite = suites[name];
  if (suite === undefined) throw new Error(`There is no suite ${name}`);
  const exclude = [...(suite.except ?? [])];
  const all = globSync([...suite.patterns], { cwd: root, exclude }).toSorted();
  const files = all.filter(
    (file) => words.length === 0 || words.some((word) => file.includes(word)),
  );
  if (files.length === 0 && words.length > 0) return { passed: 0, failed: 0, complaints: [] };
  if (files.length === 0) return { passed: 0, failed: 1, complaints: ["there is no test file"] };
  print(`${name}: ${files.length} files`);
  // Tests work in it: what those leave that are cut off when all have ended goes with it, and stays to be looked at when one failed.
  const folder = mkdtempSync(join(tmpdir(), "glasshouse-tests-"));
  // Servers that root may not run have a user of their own, who must get to their directories in it.
  chmodSync(folder, 0o711);
  const report = join(folder, "counts");
  const exit = await runNode([...nodeArguments(suite, report), ...files], { TMPDIR: folder });
  const outcome = judge(exit, readFileSync(report, "utf8"));
  if (outcome.failed === 0)
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  return outcome;
}

function nodeArguments(suite: Suite, report: string): readonly string[] {
  return [
    "--test",
    `--test-isolation=${suite.isolation}`,
    ...(suite.isolation === "process" ? [`--test-concurrency=${suite.filesAtOnce ?? 1}`] : []),
    "--test-force-exit",
    `--test-timeout=${suite.timeoutMs}`,
    "--test-reporter=spec",
    "--test-reporter-destination=stdout",
    `--test-reporter=${join(import.meta.dirname, "count-reporter.ts")}`,
    `--test-reporter-destination=${report}`,
  ];
}

async function runNode(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, ...env },
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => resolve(signal ?? String(code)));
  });
}

const lineSchema = z.union([
  z.object({ emptyFile: z.string() }),
  z.object({
    counts: z.object({
      tests: z.int(),
      passed: z.int(),
      failed: z.int(),
      cancelled: z.int(),
      skipped: z.int(),
    }),
  }),
]);

/** Joins Node's exit (a code or the name of a signal) and the report of tools/count-reporter.ts into one verdict. */
export function judge(exit: string, report: string): Outcome {
  const lines = report.split("\n").filter((line) => line !== "");
  const parsed = lines.map((line) => lineSchema.parse(JSON.parse(line)));
  const empty = parsed.flatMap((line) => ("emptyFile" in line ? [line.emptyFile] : []));
  const counts = parsed.flatMap((line) => ("counts" in line ? [line.counts] : [])).at(-1);
  if (counts === undefined) {
    return { passed: 0, failed: 1, complaints: [`it ended with ${exit} before it had counted`] };
  }
  const failed = counts.failed + counts.cancelled;
  const passed = counts.passed - empty.length;
  const complaints = empty.map((file) => `${file} has no test`);
  if (passed === 0 && failed === 0) complaints.push("no test was run");
  if (exit !== "0" && failed === 0) complaints.push(`exit ${exit} although no test failed`);
  if (exit === "0" && failed > 0) complaints.push(`exit 0 although ${failed} failed`);
  return { passed, failed: failed + complaints.length, complaints };
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
