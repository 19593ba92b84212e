import type { Terminal } from "./terminal.ts";

/** A terminal of a test: it keeps what is written and answers what it is told. */
export interface FakeTerminal extends Terminal {
  readonly output: () => string;
  readonly errors: () => string;
  /** As Ctrl-C does. */
  readonly interrupt: () => void;
}

export interface FakeTerminalOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Both streams and the input are terminals. */
  readonly interactive?: boolean;
  readonly columns?: number;
  readonly answers?: readonly string[];
  readonly input?: string;
}

export function fakeTerminal(options: FakeTerminalOptions = {}): FakeTerminal {
  const out: string[] = [];
  const err: string[] = [];
  const answers = [...(options.answers ?? [])];
  const listeners = new Set<() => void>();
  const interactive = options.interactive ?? false;
  return {
    env: options.env ?? {},
    cwd: options.cwd ?? "/",
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    outIsTerminal: interactive,
    errIsTerminal: interactive,
    inIsTerminal: interactive,
    columns: () => options.columns ?? 80,
    rows: () => 24,
    ask: (question) => {
      err.push(question);
      return Promise.resolve(answers.shift() ?? null);
    },
    readInput: () => Promise.resolve(options.input ?? ""),
    onInterrupt: (fn) => {
      listeners.add(fn);
      return () => listeners.delete(fn);
    },
    output: () => out.join(""),
    errors: () => err.join(""),
    interrupt: () => {
      for (const fn of listeners) fn();
    },
  };
}

/** What a screen shows after the text was written to it: lines, moves up and erasing below. */
export function screenOf(text: string): readonly string[] {
  const lines: string[] = [""];
  let row = 0;
  const escape = String.fromCharCode(27);
  const parts = text.split(new RegExp(`(${escape}\\[\\d*[A-Za-z]|\\n|\\r)`, "u"));
  for (const part of parts) {
    if (part === "\n") {
      row += 1;
      lines[row] ??= "";
    } else if (part.startsWith(escape)) {
      const count = Number(part.slice(2, -1) || "1");
      if (part.endsWith("A")) row = Math.max(0, row - count);
      if (part.endsWith("J")) lines.splice(row, Number.POSITIVE_INFINITY, "");
    } else if (part !== "\r" && part !== "") {
      lines[row] = (lines[row] ?? "") + part;
    }
  }
  return lines.filter((line) => line !== "");
}
