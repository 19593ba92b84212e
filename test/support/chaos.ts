import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { seeded } from "./crash-random.ts";

/** What a promise forbids, found after the faults. Everything empty: the promise was kept. */
export interface Findings {
  /** Accepted or confirmed, and without effect or trace. */
  readonly lost: readonly string[];
  /** Had its effect more than once. */
  readonly doubled: readonly string[];
  /** Is there, and neither wanted nor listed. */
  readonly orphans: readonly string[];
  /** Neither at its end nor waiting with a reason. */
  readonly stuck: readonly string[];
  /** Anything else that should not be: gaps, processes left over, a late write that was taken. */
  readonly broken: readonly string[];
}

export const nothingFound: Findings = { lost: [], doubled: [], orphans: [], stuck: [], broken: [] };

/** A line of the table of faults: one fault, what keeps the promises under it, and how often it is tried. */
export interface Fault {
  /** Number in the matrix of faults, for example `F6`. */
  readonly id: string;
  readonly fault: string;
  readonly mechanism: string;
  /** How often in the form that CI runs, and in the long one. */
  readonly trials: { readonly short: number; readonly long: number };
  /** Why it cannot run here, or false. */
  readonly skip?: string | false;
  /** Name the test fails under when it hangs longer than this; ten minutes unless given. */
  readonly limitMs?: number;
}

/** What a test of a fault is given. */
export interface Trials {
  readonly trials: number;
  /** The same sequence for the same seed and fault. */
  readonly random: () => number;
  /** Keeps a text about what happened, written out when the fault broke a promise. */
  readonly keep: (name: string, text: () => string | Promise<string>) => void;
  /** Reads all that is kept now, before what it is about is removed. */
  readonly gather: () => Promise<void>;
}

export interface Tried {
  readonly findings: Findings;
  /** How often it really happened. */
  readonly trials: number;
  /** More numbers, for people. */
  readonly words?: string;
}

/** A line of the report that `tools/chaos.ts` prints as a table. */
export interface ReportLine {
  readonly id: string;
  readonly fault: string;
  readonly mechanism: string;
  readonly trials: number;
  readonly lost: number;
  readonly doubled: number;
  readonly orphans: number;
  readonly stuck: number;
  readonly broken: number;
  readonly seconds: number;
  readonly words: string;
  readonly error: string | null;
}

export const full = process.env["CHAOS_TESTS"] === "full";
const only = process.env["CHAOS_ONLY"]?.split(",") ?? [];
const seed = Number(process.env["CHAOS_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

function isLeftOut(id: string): boolean {
  return only.length > 0 && !only.includes(id);
}

/**
 * Registers the test of a fault. It fails when anything was found, when the fault happened less often than asked, or when it
 * throws; then what `keep` was told is written to a folder, with the seed.
 */
export function faultTest(of: Fault, run: (trials: Trials) => Promise<Tried>): void {
  // A file without any test counts as a failure, so what was not asked for is there and skipped.
  const skip = isLeftOut(of.id) ? "not asked for" : (of.skip ?? false);
  const options = { skip, timeout: of.limitMs ?? (full ? 7_200_000 : 600_000) };
  void test(`${of.id}: ${of.fault}`, options, async (t) => {
    const kept = new Kept();
    const trials = full ? of.trials.long : of.trials.short;
    const began = performance.now();
    const tried = await run({
      trials,
      random: seeded(seed ^ numberOf(of.id)),
      keep: (name, text) => kept.add(name, text),
      gather: () => kept.gather(),
    }).catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
    const seconds = (performance.now() - began) / 1_000;
    report(of, tried, seconds);
    const complaints = complaintsOf(tried);
    kept.add("complaints", () => complaints.join("\n"));
    if (complaints.length > 0) await writeHistory(t, of.id, await kept.texts());
    assert.deepEqual(complaints, [], `CHAOS_SEED=${seed} CHAOS_ONLY=${of.id}`);
    if (!(tried instanceof Error))
      assert.ok(tried.trials >= trials, `it happened ${tried.trials} times, not ${trials}`);
  });
}

function complaintsOf(tried: Tried | Error): readonly string[] {
  if (tried instanceof Error) return [tried.stack ?? tried.message];
  return Object.entries(tried.findings).flatMap(([what, found]: [string, readonly string[]]) =>
    found.map((each) => `${what}: ${each}`),
  );
}

function report(of: Fault, tried: Tried | Error, seconds: number): void {
  const file = process.env["CHAOS_REPORT"];
  if (file === undefined) return;
  const failed = tried instanceof Error;
  const found = failed ? nothingFound : tried.findings;
  const line: ReportLine = {
    id: of.id,
    fault: of.fault,
    mechanism: of.mechanism,
    trials: failed ? 0 : tried.trials,
    lost: found.lost.length,
    doubled: found.doubled.length,
    orphans: found.orphans.length,
    stuck: found.stuck.length,
    broken: found.broken.length,
    seconds,
    words: failed ? "" : (tried.words ?? ""),
    error: failed ? (tried.message.split("\n")[0] ?? "") : null,
  };
  appendFileSync(file, `${JSON.stringify(line)}\n`);
}

class Kept {
  readonly #open = new Map<string, () => string | Promise<string>>();
  readonly #texts = new Map<string, string>();

  add(name: string, text: () => string | Promise<string>): void {
    this.#open.set(name, text);
  }

  async gather(): Promise<void> {
    for (const [name, text] of this.#open) this.#texts.set(name, await text());
    this.#open.clear();
  }

  async texts(): Promise<ReadonlyMap<string, string>> {
    await this.gather();
    return this.#texts;
  }
}

async function writeHistory(
  t: TestContext,
  id: string,
  texts: ReadonlyMap<string, string>,
): Promise<void> {
  const root = process.env["CHAOS_HISTORIES"];
  if (root === undefined) return;
  const folder = join(root, `${id}-seed-${seed}`);
  await mkdir(folder, { recursive: true });
  for (const [name, text] of texts) await writeFile(join(folder, name), text);
  t.diagnostic(
    `what happened is in ${folder}; again: npm run test:chaos -- --only ${id} --seed ${seed}`,
  );
}

/** All findings in one. */
export function joined(...all: readonly Findings[]): Findings {
  const of = (pick: (findings: Findings) => readonly string[]): readonly string[] =>
    all.flatMap(pick);
  return {
    lost: of(({ lost }) => lost),
    doubled: of(({ doubled }) => doubled),
    orphans: of(({ orphans }) => orphans),
    stuck: of(({ stuck }) => stuck),
    broken: of(({ broken }) => broken),
  };
}

/** Chooses one of a list, which is not empty. */
export function oneOf<T>(list: readonly T[], random: () => number): T {
  const chosen = list[Math.floor(random() * list.length)];
  if (chosen === undefined) throw new Error("there is nothing to choose from");
  return chosen;
}

export function between(low: number, high: number, random: () => number): number {
  return low + (high - low) * random();
}

function numberOf(id: string): number {
  return id.split("").reduce((sum, letter) => Math.imul(sum, 31) + letter.charCodeAt(0), 7);
}
