import { text as readText } from "node:stream/consumers";
import { createInterface } from "node:readline/promises";

/** Where the program reads and writes: the process's own streams, or those of a test. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** What was asked for. Nothing else goes here. */
  out(text: string): void;
  /** Progress, hints, errors. */
  err(text: string): void;
  readonly outIsTerminal: boolean;
  readonly errIsTerminal: boolean;
  readonly inIsTerminal: boolean;
  /** Size of the terminal now. */
  columns(): number;
  rows(): number;
  /** Asks a person; only with `inIsTerminal`. Null when the input ends instead. */
  ask(question: string): Promise<string | null>;
  /** All of the input. */
  readInput(): Promise<string>;
  /** Calls `fn` at Ctrl-C in place of ending; the returned function takes that back. */
  onInterrupt(fn: () => void): () => void;
}

export function processTerminal(): Terminal {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    endUnread(error);
    process.stderr.write(`error: The output cannot be written: ${error.message}.\n`);
    process.exit(1);
  });
  process.stderr.on("error", (error) => {
    endUnread(error);
    process.exit(1);
  });
  return {
    env: process.env,
    cwd: process.cwd(),
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    outIsTerminal: process.stdout.isTTY,
    errIsTerminal: process.stderr.isTTY,
    inIsTerminal: process.stdin.isTTY,
    columns: () => process.stderr.columns || process.stdout.columns || 80,
    rows: () => process.stderr.rows || process.stdout.rows || 24,
    ask,
    readInput: () => readText(process.stdin),
    onInterrupt: (fn) => {
      process.on("SIGINT", fn);
      process.on("SIGTERM", fn);
      return () => {
        process.off("SIGINT", fn);
        process.off("SIGTERM", fn);
      };
    },
  };
}

/** A reader such as `head` that closes early ends the program quietly. */
function endUnread(error: NodeJS.ErrnoException): void {
  if (error.code === "EPIPE") process.exit(0);
}

async function ask(question: string): Promise<string | null> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const ended = new Promise<null>((resolve) => lines.once("close", () => resolve(null)));
    return await Promise.race([lines.question(question), ended]);
  } finally {
    lines.close();
  }
}
