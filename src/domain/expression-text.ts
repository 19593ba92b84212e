/** A string of a template, cut into literal text and `${{ … }}` expressions. Offsets are UTF-16 units within the string. */
export interface ParsedText {
  readonly segments: readonly Segment[];
  /** True when the string is one expression and nothing else: it keeps the expression's type. */
  readonly whole: boolean;
  /** An expression that does not end, is empty or too long. The segments before it are still there. */
  readonly mistake: TextMistake | null;
}

export type Segment =
  | { readonly kind: "text"; readonly text: string }
  | {
      readonly kind: "expression";
      /** What stands between the marks, untrimmed: offsets of the parser count from `start`. */
      readonly source: string;
      readonly start: number;
      readonly end: number;
    };

export interface TextMistake {
  readonly message: string;
  readonly start: number;
  readonly end: number;
}

/** The longest expression that is taken: it bounds the work of parsing and checking one. */
export const maximumExpressionLength = 4_096;

const maximumCached = 4_096;
const longestCached = 4_096;
const cache = new Map<string, ParsedText>();

/**
 * Finds the expressions of a string. `}}` inside a CEL string or map does not end one; `$${{` stands for a literal
 * `${{`. Never throws; the same text gives the same (shared, immutable) object while it is in the bounded cache.
 */
export function parseText(text: string): ParsedText {
  if (!text.includes("${{")) return literalText(text);
  const known = cache.get(text);
  if (known !== undefined) return known;
  const parsed = cutText(text);
  if (text.length <= longestCached) {
    if (cache.size >= maximumCached) cache.clear();
    cache.set(text, parsed);
  }
  return parsed;
}

function literalText(text: string): ParsedText {
  return { segments: text === "" ? [] : [{ kind: "text", text }], whole: false, mistake: null };
}

function cutText(text: string): ParsedText {
  const segments: Segment[] = [];
  let literal = "";
  let position = 0;
  let mistake: TextMistake | null = null;
  while (position < text.length) {
    const open = text.indexOf("${{", position);
    if (open < 0) break;
    if (open > position && text[open - 1] === "$") {
      literal += text.slice(position, open - 1) + "${{";
      position = open + 3;
      continue;
    }
    literal += text.slice(position, open);
    const found = readExpression(text, open);
    if ("message" in found) {
      mistake = found;
      break;
    }
    if (literal !== "") segments.push({ kind: "text", text: literal });
    literal = "";
    segments.push(found);
    position = found.end + 2;
  }
  if (mistake === null) literal += text.slice(position);
  if (literal !== "") segments.push({ kind: "text", text: literal });
  const whole = mistake === null && segments.length === 1 && segments[0]?.kind === "expression";
  return { segments, whole, mistake };
}

function readExpression(
  text: string,
  open: number,
): Extract<Segment, { kind: "expression" }> | TextMistake {
  const start = open + 3;
  const end = endOfExpression(text, start);
  if (end === null) {
    const message =
      "the expression does not end: close it with `}}` (a `${{` meant as text is written `$${{`)";
    return { message, start: open, end: start };
  }
  const source = text.slice(start, end);
  if (source.trim() === "") {
    return {
      message: "the expression is empty: write what it stands for between `${{` and `}}`",
      start: open,
      end: end + 2,
    };
  }
  if (source.length > maximumExpressionLength) {
    const message = `the expression has ${source.length} characters; at most ${maximumExpressionLength} are allowed`;
    return { message, start: open, end: end + 2 };
  }
  return { kind: "expression", source, start, end };
}

/** Offset of the `}}` that ends the expression, or null. Follows the parser's own words for strings and comments. */
function endOfExpression(text: string, start: number): number | null {
  let depth = 0;
  let position = start;
  while (position < text.length) {
    const character = text[position];
    if (character === '"' || character === "'") {
      const end = endOfString(text, position);
      if (end === null) return null;
      position = end;
      continue;
    }
    if (character === "/" && text[position + 1] === "/") {
      const newline = text.indexOf("\n", position);
      if (newline < 0) return null;
      position = newline;
    } else if (character === "{") depth += 1;
    else if (character === "}" && depth > 0) depth -= 1;
    else if (character === "}" && text[position + 1] === "}") return position;
    position += 1;
  }
  return null;
}

/** A backslash guards the next character; the parser sees it so in raw strings too. */
function endOfString(text: string, open: number): number | null {
  const quote = text.charAt(open);
  const mark = text.startsWith(quote.repeat(3), open) ? quote.repeat(3) : quote;
  let position = open + mark.length;
  while (position < text.length) {
    if (text[position] === "\\") position += 2;
    else if (text.startsWith(mark, position)) return position + mark.length;
    else position += 1;
  }
  return null;
}
