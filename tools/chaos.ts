import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";

/**
 * Runs the tests of faults and prints what was survived as one table: `npm run test:chaos`. `--only F6,F15` takes some of
 * them, `--seed N` repeats what happened by chance as far as time allows, `CHAOS_TESTS=full` takes the long form, the long
 * form of the crash tests with it. Exits with that of the tests.
 */
const lineSchema = z.object({
  id: z.string(),
  fault: z.string(),
  mechanism: z.string(),
  trials: z.int(),
  lost: z.int(),
  doubled: z.int(),
  orphans: z.int(),
  stuck: z.int(),
  broken: z.int(),
  seconds: z.number(),
  words: z.string(),
  error: z.string().nullable(),
});
type Line = z.output<typeof lineSchema>;

const root = join(import.meta.dirname, "..");

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { only: { type: "string" }, seed: { type: "string" } },
    allowPositionals: true,
  });
  const full = process.env["CHAOS_TESTS"] === "full";
  const seed =
    values.seed ?? process.env["CHAOS_SEED"] ?? String(Math.floor(Math.random() * 2 ** 31));
  if (!/^\d{1,10}$/u.test(seed)) throw new Error(`--seed must be a whole number, not ${seed}`);
  const histories = mkdtempSync(join(tmpdir(), "glasshouse-chaos-"));
  const report = join(histories, "report.jsonl");
  const suites = full && values.only === undefined ? ["chaos", "crash"] : ["chaos"];
  const began = performance.now();
  const exit = await run([join(root, "tools", "run-tests.ts"), ...suites, ...positionals], {
    CHAOS_SEED: seed,
    CRASH_SEED: seed,
    CHAOS_REPORT: report,
    CHAOS_HISTORIES: histories,
    ...(full ? { CRASH_TESTS: "full" } : {}),
    ...(values.only === undefined ? {} : { CHAOS_ONLY: values.only }),
  });
  const lines = existsSync(report) ? linesOf(readFileSync(report, "utf8")) : [];
  process.stdout.write(table(lines));
  const minutes = ((performance.now() - began) / 60_000).toFixed(1);
  process.stdout.write(
    `seed ${seed}, ${full ? "long" : "short"} form, commit ${commit()}, ${minutes} min, ${availableParallelism()} cores\n`,
  );
  if (exit === 0) rmSync(histories, { recursive: true, force: true });
  else process.stdout.write(`What happened is kept in ${histories}\n`);
  return exit;
}

async function run(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<number> {
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, ...env },
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 1));
  });
}

function linesOf(text: string): readonly Line[] {
  const lines = text.split("\n").filter((line) => line !== "");
  const parsed = lines.map((line) => lineSchema.parse(JSON.parse(line)));
  return parsed.toSorted((one, other) => numberOf(one) - numberOf(other));
}

function numberOf({ id }: Line): number {
  return Number(/\d+/u.exec(id)?.[0] ?? 0);
}

/** As Markdown, so that it can be put into a page as it is. */
function table(lines: readonly Line[]): string {
  const head = [
    "",
    "fault",
    "kept by",
    "trials",
    "lost",
    "doubled",
    "orphans",
    "stuck",
    "verdict",
    "seconds",
    "in it",
  ];
  const rows = lines.map((line) => [
    line.id,
    line.fault,
    line.mechanism,
    String(line.trials),
    String(line.lost),
    String(line.doubled),
    String(line.orphans),
    String(line.stuck),
    verdictOf(line),
    line.seconds.toFixed(0),
    line.words,
  ]);
  const all = [head, ...rows];
  const widths = head.map((_, at) => Math.max(3, ...all.map((row) => row[at]?.length ?? 0)));
  const text = (row: readonly string[]): string =>
    `| ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(" | ")} |`;
  const rule = text(widths.map((width) => "-".repeat(width)));
  return `\n${[text(head), rule, ...rows.map(text)].join("\n")}\n\n`;
}

function verdictOf(line: Line): string {
  if (line.error !== null) return `failed: ${line.error}`;
  const found = line.lost + line.doubled + line.orphans + line.stuck + line.broken;
  return found === 0 ? "kept" : `BROKEN (${found})`;
}

function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], {
      cwd: root,
      encoding: "utf8",
    }).trim();
  } catch {
    return "unknown";
  }
}

process.exitCode = await main();
