/**
 * Regular expressions whose cost is bounded: time grows with text × pattern and nothing else, whoever wrote the pattern.
 * JavaScript's own engine backtracks without bound (27 characters can take seconds), so patterns that users write run
 * here: Thompson's construction (Programming Techniques: Regular expression search algorithm, CACM 1968), over code points.
 */
export interface Pattern {
  /** True when the pattern matches somewhere in the text, as RegExp.test does with the flag `u`. */
  test(text: string): boolean;
}

/** The most states a pattern may need once its counted repetitions are written out. */
export const maximumStates = 1_000;

/**
 * Reads a pattern in JavaScript's syntax without look-around, back-references and word boundaries. Gives a message
 * that says what is wrong when it cannot be used.
 */
export function compilePattern(source: string): Pattern | { readonly message: string } {
  try {
    // Only its syntax is checked here: this expression never runs.
    RegExp(source, "u");
    const program = new Compiler(source).compile();
    return { test: (text) => search(program, text) };
  } catch (error) {
    if (error instanceof PatternError) return { message: error.message };
    if (error instanceof SyntaxError)
      return { message: error.message.replace(/^Invalid regular expression: /u, "") };
    throw error;
  }
}

class PatternError extends Error {}

type Instruction =
  | { readonly kind: "one"; readonly accepts: (codePoint: string) => boolean }
  | { readonly kind: "begin" }
  | { readonly kind: "end" }
  | { readonly kind: "either"; readonly offsets: readonly [number, number] }
  | { readonly kind: "jump"; readonly offset: number };

type Program = readonly Instruction[];

/** Reads and translates in one go; offsets are relative, so that parts can be repeated by copying them. */
class Compiler {
  readonly #source: readonly string[];
  #position = 0;
  #depth = 0;

  constructor(source: string) {
    this.#source = Array.from(source);
  }

  compile(): Program {
    return this.#alternatives();
  }

  #alternatives(): Program {
    if (this.#depth > 50) throw new PatternError("it has more than 50 groups within one another");
    let program = this.#sequence();
    while (this.#take("|")) {
      const other = this.#sequence();
      program = limited([
        { kind: "either", offsets: [1, program.length + 2] },
        ...program,
        { kind: "jump", offset: other.length + 1 },
        ...other,
      ]);
    }
    return program;
  }

  #sequence(): Program {
    const program: Instruction[] = [];
    for (
      let next = this.#peek();
      next !== undefined && next !== "|" && next !== ")";
      next = this.#peek()
    ) {
      program.push(...this.#repeated(this.#atom()));
      limited(program);
    }
    return program;
  }

  #atom(): Program {
    const start = this.#position;
    const next = this.#source[this.#position];
    this.#position += 1;
    if (next === "^") return [{ kind: "begin" }];
    if (next === "$") return [{ kind: "end" }];
    if (next === "(") return this.#group();
    if (next === "[") this.#skipClass();
    else if (next === "\\") this.#skipEscape();
    const text = this.#source.slice(start, this.#position).join("");
    if (!/[.[\\]/u.test(text.charAt(0)))
      return [{ kind: "one", accepts: (codePoint) => codePoint === text }];
    const single = new RegExp(`^${text}$`, "u");
    return [{ kind: "one", accepts: (codePoint) => single.test(codePoint) }];
  }

  #group(): Program {
    if (this.#take("?") && !this.#take(":")) {
      throw new PatternError(
        "look-around and named groups are not available: only ( ) and (?: ) are",
      );
    }
    this.#depth += 1;
    const program = this.#alternatives();
    this.#depth -= 1;
    this.#take(")");
    return program;
  }

  #skipClass(): void {
    while (this.#peek() !== "]" && this.#peek() !== undefined) {
      this.#position += this.#peek() === "\\" ? 2 : 1;
    }
    this.#position += 1;
  }

  #skipEscape(): void {
    const next = this.#source[this.#position] ?? "";
    if (/[bBk1-9]/u.test(next)) {
      throw new PatternError("word boundaries and back-references are not available");
    }
    const rest = this.#source.slice(this.#position, this.#position + 64).join("");
    const surrogates = /^u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}/u;
    const long =
      surrogates.exec(rest) ??
      /^(?:u\{[^}]*\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[pP]\{[^}]*\}|c[a-zA-Z])/u.exec(rest);
    this.#position += long === null ? 1 : long[0].length;
  }

  #repeated(part: Program): Program {
    const [least, most] = this.#counts();
    this.#take("?");
    const needed = part.length * Math.max(least, most === null ? least + 1 : most);
    if (needed > maximumStates) throw tooLarge();
    const program = Array.from({ length: least }, () => part).flat();
    if (most === null) {
      return [
        ...program,
        { kind: "either", offsets: [1, part.length + 2] },
        ...part,
        { kind: "jump", offset: -part.length - 1 },
      ];
    }
    for (let left = most - least; left > 0; left -= 1) {
      program.push({ kind: "either", offsets: [1, left * (part.length + 1)] }, ...part);
    }
    return program;
  }

  #counts(): readonly [number, number | null] {
    if (this.#take("*")) return [0, null];
    if (this.#take("+")) return [1, null];
    if (this.#take("?")) return [0, 1];
    if (this.#peek() !== "{") return [1, 1];
    const rest = this.#source.slice(this.#position, this.#position + 32).join("");
    const found = /^\{(?<least>\d+)(?<open>,(?<most>\d*))?\}/u.exec(rest);
    if (found === null) return [1, 1];
    this.#position += found[0].length;
    const least = Number(found.groups?.["least"]);
    if (found.groups?.["open"] === undefined) return [least, least];
    return [least, found.groups["most"] === "" ? null : Number(found.groups["most"])];
  }

  #peek(): string | undefined {
    return this.#source[this.#position];
  }

  #take(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#position += 1;
    return true;
  }
}

function limited(program: Program): Program {
  if (program.length > maximumStates) throw tooLarge();
  return program;
}

function tooLarge(): PatternError {
  return new PatternError(
    `it needs more than ${maximumStates} states: use smaller counts, or minLength and maxLength`,
  );
}

/** All places the program can be in are followed at once; each is visited at most once a character. */
function search(program: Program, text: string): boolean {
  const codePoints = Array.from(text);
  let places: number[] = [];
  for (let at = 0; at <= codePoints.length; at += 1) {
    const edge = { begin: at === 0, end: at === codePoints.length };
    const reached = follow(program, [...places, 0], edge);
    if (reached === "match") return true;
    const codePoint = codePoints[at];
    if (codePoint === undefined) return false;
    places = [];
    for (const place of reached) {
      const instruction = program[place];
      if (instruction?.kind === "one" && instruction.accepts(codePoint)) places.push(place + 1);
    }
  }
  return false;
}

function follow(
  program: Program,
  open: number[],
  edge: { readonly begin: boolean; readonly end: boolean },
): Iterable<number> | "match" {
  const seen = new Set<number>();
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    if (place >= program.length) return "match";
    if (seen.has(place)) continue;
    seen.add(place);
    const instruction = program[place];
    if (instruction?.kind === "either")
      open.push(place + instruction.offsets[0], place + instruction.offsets[1]);
    else if (instruction?.kind === "jump") open.push(place + instruction.offset);
    else if (instruction?.kind === "begin" && edge.begin) open.push(place + 1);
    else if (instruction?.kind === "end" && edge.end) open.push(place + 1);
  }
  return seen;
}
