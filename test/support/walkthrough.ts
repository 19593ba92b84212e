import { spawn, type ChildProcess } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

/** A fenced block of a page: what stands after the fence (`sh`, `sh server`, `text`) and its lines. */
export interface Block {
  readonly info: string;
  readonly text: string;
  /** Line number of its first line in the page, from 1. */
  readonly line: number;
}

/** All fenced blocks of a page, in order. */
export function blocksOf(page: string): readonly Block[] {
  const blocks: Block[] = [];
  let open: { readonly info: string; readonly line: number; readonly lines: string[] } | null =
    null;
  for (const [at, line] of page.split("\n").entries()) {
    if (open === null && line.startsWith("```"))
      open = { info: line.slice(3), line: at + 2, lines: [] };
    else if (open !== null && line === "```") {
      blocks.push({ info: open.info, line: open.line, text: open.lines.join("\n") });
      open = null;
    } else open?.lines.push(line);
  }
  return blocks;
}

/** The page with other text in those of its blocks that `texts` names by their line. */
export function withTexts(page: string, texts: ReadonlyMap<number, string>): string {
  let result = page;
  for (const block of [...blocksOf(page)].toReversed()) {
    const text = texts.get(block.line);
    if (text === undefined) continue;
    const lines = result.split("\n");
    const count = block.text === "" ? 0 : block.text.split("\n").length;
    // A block without any line has its closing fence where its first line would be.
    lines.splice(block.line - 1, count === 0 ? 0 : count, ...text.split("\n"));
    result = lines.join("\n");
  }
  return result;
}

const endMark = "@@ the end of a block @@";

/** One bash in which block after block is run, as a reader would type them. */
export class Shell {
  readonly #child: ChildProcess;
  readonly #folder: string;
  #output = "";
  #arrived: () => void = () => {};
  #failed: (error: Error) => void = () => {};

  /** `folder` is where it keeps the text of its blocks; `cwd` is where it begins. */
  constructor(of: {
    readonly folder: string;
    readonly cwd: string;
    readonly env: NodeJS.ProcessEnv;
  }) {
    this.#folder = of.folder;
    this.#child = spawn("bash", ["--norc"], {
      cwd: of.cwd,
      env: of.env,
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#child.stdin?.write("exec 2>&1\n");
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
      this.#arrived();
    });
    this.#child.once("exit", (code) =>
      this.#failed(new Error(`bash ended with ${code}:\n${this.#output}`)),
    );
  }

  /** Runs a block to its end and returns what it printed, on both outputs. */
  async run(text: string): Promise<string> {
    const file = join(this.#folder, "block.sh");
    await writeFile(file, text);
    this.#output = "";
    const ended = new Promise<void>((resolve, reject) => {
      this.#arrived = () => {
        if (this.#output.includes(endMark)) resolve();
      };
      this.#failed = reject;
    });
    this.#child.stdin?.write(`. '${file}' </dev/null\nprintf '%s\\n' '${endMark}'\n`);
    await ended;
    return this.#output.replace(`${endMark}\n`, "").trimEnd();
  }

  end(): void {
    this.#child.stdin?.end();
  }
}

/**
 * What stays the same from run to run: without ids, times, commits, digests, ports, what only this machine has, and widths of columns, and sorted, because
 * steps that run at the same time end in any order.
 */
export function stable(text: string): readonly string[] {
  return (
    text
      .split("\n")
      .map((line) =>
        line
          .replaceAll(/\b(env|tpl|run|stp|pln|cmd|res)_…?[0-9A-Za-z]+…?/gu, "$1_…")
          .replaceAll(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?Z?/gu, "<time>")
          .replaceAll(/\b\d\d:\d\d:\d\d\b/gu, "<time>")
          .replaceAll(/\b(?:\d+(?:\.\d+)?(?:ms|h|m|s))+\b/gu, "<duration>")
          .replaceAll(/\b(?:Terraform|OpenTofu) \d\S*/gu, "<engine>")
          .replaceAll(/under \S+$|[\d.]+ [KMGT]iB|^version\s+\S+/gu, "<machine>")
          .replaceAll(/\b[0-9a-f]{7,64}\b…?/gu, "<digest>")
          .replaceAll(/127\.0\.0\.1:\d+/gu, "127.0.0.1:<port>")
          .replaceAll(/[\s─]+/gu, " ")
          .trim(),
      )
      // Whether somebody watches from the first moment on is chance; that a step ended is not.
      .filter((line) => line !== "" && !/^\S+(?: \S+)? started$/u.test(line))
      .toSorted()
  );
}
