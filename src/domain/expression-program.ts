import type { ASTNode, Environment } from "@marcbachmann/cel-js";
import { newCelEnvironment, roots } from "./expression-cel.ts";
import { analyse } from "./expression-syntax.ts";
import type { Reference } from "./expression-syntax.ts";
import type { TextMistake } from "./expression-text.ts";

/** An expression ready to run. */
export interface Program {
  readonly references: readonly Reference[];
  readonly mistakes: readonly TextMistake[];
  /** Evaluates over CEL values (see `toCel`). Errors: whatever the library throws; `WorkExceeded` past the bound. */
  run(context: Record<string, unknown>): unknown;
}

/** An expression that loops more, or makes more, than one expression may. */
export class WorkExceeded extends Error {}

/** Units of work an expression may do in its loops: about one per item, nested value and 64 characters made. */
export const maximumWork = 500_000;
const longestText = 1_000_000;

const maximumCached = 4_096;
const cache = new Map<string, Program>();
let environment: Environment | null = null;

/** The program of an expression's source: the same (shared) one while it is in the bounded cache. Never throws. */
export function programOf(source: string): Program {
  const known = cache.get(source);
  if (known !== undefined) return known;
  const program = newProgram(source);
  if (cache.size >= maximumCached) cache.clear();
  cache.set(source, program);
  return program;
}

function newProgram(source: string): Program {
  environment ??= dynamicEnvironment();
  try {
    const parsed = environment.parse(source);
    const analysis = analyse(parsed.ast);
    const meter = new Meter();
    for (const body of analysis.loopBodies) meter.attach(body);
    const run = (context: Record<string, unknown>): unknown => {
      meter.reset();
      const result: unknown = parsed(context);
      meter.verify();
      return result;
    };
    return { references: analysis.references, mistakes: analysis.mistakes, run };
  } catch (error) {
    return { references: [], mistakes: [parseMistake(error, source)], run: refuseToRun };
  }
}

function refuseToRun(): never {
  throw new WorkExceeded("the expression has mistakes");
}

function dynamicEnvironment(): Environment {
  const fresh = newCelEnvironment();
  for (const root of roots) fresh.registerVariable(root, "dyn");
  return fresh;
}

/** Turns the parser's error into a mistake with a range within the source. */
export function parseMistake(error: unknown, source: string): TextMistake {
  const whole = { start: 0, end: source.length };
  if (error instanceof RangeError)
    return { message: "the expression is nested too deeply", ...whole };
  const range = rangeOf(error) ?? whole;
  return { message: `not a valid expression: ${summaryOf(error)}`, ...range };
}

export function summaryOf(error: unknown): string {
  if (typeof error === "object" && error !== null && "summary" in error) {
    if (typeof error.summary === "string") return error.summary;
  }
  return error instanceof Error ? (error.message.split("\n")[0] ?? "") : "unknown fault";
}

export function rangeOf(error: unknown): { readonly start: number; readonly end: number } | null {
  if (typeof error !== "object" || error === null || !("range" in error)) return null;
  const { range } = error;
  if (typeof range !== "object" || range === null || !("start" in range) || !("end" in range))
    return null;
  const { start, end } = range;
  return typeof start === "number" && typeof end === "number" ? { start, end } : null;
}

type Evaluate = (evaluator: unknown, node: unknown, context: unknown) => unknown;

/**
 * Counts the work of loops. The library bounds syntax only, and a chain of loops can double its data at every link, so each
 * value that a loop's body gives is measured. Its nodes set their own `evaluate` at first use: hence the accessor.
 */
class Meter {
  #used = 0;

  reset(): void {
    this.#used = 0;
  }

  /** Loops like `exists` swallow errors of single items; this throws the one that matters. */
  verify(): void {
    if (this.#used > maximumWork) throw tooMuch();
  }

  attach(node: ASTNode): void {
    let inner: Evaluate = readEvaluate(node);
    const counted: Evaluate = (evaluator, ast, context) => {
      this.#use(1);
      const result = inner.call(node, evaluator, ast, context);
      this.#measure(result);
      return result;
    };
    Object.defineProperty(node, "evaluate", {
      get: () => counted,
      set: (replacement: Evaluate) => {
        inner = replacement;
      },
    });
  }

  #use(units: number): void {
    this.#used += units;
    this.verify();
  }

  #measure(value: unknown): void {
    const open = [value];
    while (open.length > 0) {
      const next = open.pop();
      if (typeof next === "string") {
        if (next.length > longestText) throw tooMuch();
        this.#use(next.length / 64);
      } else if (typeof next === "object" && next !== null) {
        const items = membersOf(next);
        this.#use(items.length);
        for (const item of items) open.push(item);
      }
    }
  }
}

function membersOf(value: object): readonly unknown[] {
  if (Array.isArray(value)) return value;
  return value instanceof Map ? [...value.values()] : Object.values(value);
}

function readEvaluate(node: ASTNode): Evaluate {
  const found: unknown = Reflect.get(node, "evaluate");
  if (typeof found !== "function") throw new TypeError("the expression library has changed");
  return (evaluator, ast, context) => {
    const result: unknown = Reflect.apply(found, node, [evaluator, ast, context]);
    return result;
  };
}

function tooMuch(): WorkExceeded {
  return new WorkExceeded(
    `its loops do too much (more than ${maximumWork} units of work): use shorter lists, or make the value in a group`,
  );
}
