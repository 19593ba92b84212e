/** One mistake of a template, with its place. Lines and columns count from 1. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** What is wrong, and what would be right. */
  readonly message: string;
  /** JSON pointer into the file. */
  readonly pointer: string;
}

/** Keys and indexes from the root of the file. */
export type Path = readonly (string | number)[];

/** Where within the value at a path: its key, or an offset into its text. The value itself when absent. */
export interface Spot {
  readonly path: Path;
  readonly key?: boolean;
  /** Offset in UTF-16 units within the string value. */
  readonly offset?: number;
  /** Offset in the file, where it is known already. */
  readonly place?: number | undefined;
}

/** Past this many the rest is counted, not listed. */
export const maximumProblems = 100;

/** Gathers mistakes by place in the data; lines are looked up only for those that are shown. */
export class Problems {
  readonly #found: { readonly spot: Spot; readonly message: string }[] = [];

  /** True when nothing was found. */
  get none(): boolean {
    return this.#found.length === 0;
  }

  get count(): number {
    return this.#found.length;
  }

  add(spot: Spot, message: string): void {
    this.#found.push({ spot, message });
  }

  /** The mistakes in order of their place; those said twice about one place, once. */
  list(
    locate: (spot: Spot) => { readonly line: number; readonly column: number },
    file: string,
  ): readonly Problem[] {
    const problems = this.#found.slice(0, maximumProblems * 10).map(({ spot, message }) => ({
      file,
      ...locate(spot),
      message,
      pointer: pointerOf(spot.path),
    }));
    return inOrder(problems, this.#found.length);
  }
}

function inOrder(problems: readonly Problem[], total: number): readonly Problem[] {
  const sorted = problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
  const unique = sorted.filter((problem, index) => {
    const before = sorted[index - 1];
    return before?.message !== problem.message || before.pointer !== problem.pointer;
  });
  const shown = unique.slice(0, maximumProblems);
  const last = shown.at(-1);
  if (last === undefined || total <= shown.length || unique.length === shown.length) return shown;
  const message = `and ${total - shown.length} more mistakes: mend these first`;
  return [...shown, { ...last, message }];
}

export function pointerOf(path: Path): string {
  return path
    .map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`)
    .join("");
}

/** `file:line:column: message`, as compilers write it. */
export function formatProblem(problem: Problem): string {
  return `${problem.file}:${problem.line}:${problem.column}: ${problem.message}`;
}
