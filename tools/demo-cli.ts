import { spawn } from "node:child_process";
import { join } from "node:path";

export const root = join(import.meta.dirname, "..");
/** How people call the program from the project's folder. */
export const bin = "bin/glasshouse";

/** The server that the command line talks to; when `signal` aborts, a running command is ended. */
export interface Target {
  readonly url: string;
  readonly signal: AbortSignal;
}

export interface Ended {
  readonly code: number;
  /** What it wrote to stdout, when that was kept. */
  readonly output: string;
}

/**
 * Runs one command of bin/glasshouse to its end. With `show` (the default) the reader sees the command and all that it
 * writes; with `keep` only its stdout is kept. Rejects when it cannot be started or is ended by the signal.
 */
export async function runCli(
  target: Target,
  args: readonly string[],
  output: "show" | "keep" = "show",
): Promise<Ended> {
  if (output === "show") say(`\n$ ${[bin, ...args].join(" ")}`);
  const child = spawn(join(root, bin), args, {
    cwd: root,
    env: { ...process.env, GLASSHOUSE_SERVER: target.url },
    stdio: output === "show" ? "inherit" : ["ignore", "pipe", "ignore"],
    signal: target.signal,
  });
  let kept = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (kept += text));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code: code ?? 1, output: kept }));
  });
}

export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
