import { randomBytes } from "node:crypto";
import { mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { startChild } from "../../../clients/process/child.ts";
import type { Isolation } from "../../../clients/process/isolation.ts";
import type { Child, ChildExit } from "../../../clients/process/warden.ts";
import type { CheckOutcome } from "../../../domain/check.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { Checker, CheckTarget } from "../../../ports/check.ts";

export interface CommandCheckerOptions {
  readonly isolation: Isolation;
  /** A directory for the outputs of running checks; made when absent, removed with each check. */
  readonly outputs: string;
  /** Directories that checks may not see, where bwrap exists. */
  readonly hide: readonly string[];
}

type CommandTarget = Extract<CheckTarget, { kind: "command" }>;

const stopsWithinMs = 1_000;
const shownBytes = 4_096;
const shownCharacters = 300;

/** Runs a command of the template: exit 0 is healthy; otherwise the last line of its output is the detail. */
export function commandChecker(options: CommandCheckerOptions): Checker {
  return {
    kind: "command",
    async check(target, { timeoutMs, signal }) {
      if (target.kind !== "command") throw new TypeError(`not a command target: ${target.kind}`);
      signal.throwIfAborted();
      await mkdir(options.outputs, { recursive: true, mode: 0o700 });
      const outputFile = join(options.outputs, `check-${randomBytes(6).toString("hex")}`);
      try {
        return await run(options, target, { outputFile, timeoutMs, signal });
      } finally {
        await rm(outputFile, { force: true });
      }
    },
  };
}

interface Limits {
  readonly outputFile: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

async function run(
  options: CommandCheckerOptions,
  target: CommandTarget,
  { outputFile, timeoutMs, signal }: Limits,
): Promise<CheckOutcome> {
  const child = await start(options, target, outputFile);
  if (!("exited" in child)) return child;
  const deadline = AbortSignal.timeout(timeoutMs);
  const ended = AbortSignal.any([signal, deadline]);
  const kill = (): void => child.kill();
  ended.addEventListener("abort", kill);
  if (signal.aborted) child.kill();
  else child.go();
  const exit = await child.exited;
  ended.removeEventListener("abort", kill);
  signal.throwIfAborted();
  if (deadline.aborted) return { healthy: false, detail: `not done within ${timeoutMs} ms` };
  return outcomeOf(exit, await lastLine(outputFile));
}

/** A command that cannot be started is an outcome; a machine without room for it is an error. */
async function start(
  { isolation, hide }: CommandCheckerOptions,
  { argv, directory, env }: CommandTarget,
  outputFile: string,
): Promise<Child | CheckOutcome> {
  const expose = [directory];
  try {
    return await startChild(isolation, {
      argv,
      cwd: directory,
      env,
      outputFile,
      hide,
      expose,
      stopsWithinMs,
    });
  } catch (error) {
    if (error instanceof GlasshouseError && error.row.kind === "terminal")
      return { healthy: false, detail: error.message };
    throw error;
  }
}

function outcomeOf(exit: ChildExit, output: string): CheckOutcome {
  if (exit.code === 0 && exit.started) return { healthy: true, detail: output || "exit 0" };
  const how = exit.signal === null ? `exit ${exit.code}` : `ended by ${exit.signal}`;
  return { healthy: false, detail: output === "" ? how : `${how}: ${output}` };
}

async function lastLine(path: string): Promise<string> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const buffer = Buffer.alloc(Math.min(size, shownBytes));
    await file.read(buffer, 0, buffer.length, Math.max(0, size - shownBytes));
    const lines = buffer.toString("utf8").trimEnd().split("\n");
    return (lines.at(-1) ?? "").trim().slice(0, shownCharacters);
  } finally {
    await file.close();
  }
}
