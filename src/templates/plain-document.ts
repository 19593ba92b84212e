import type { Json } from "../lib/json.ts";
import { maximumDepth, maximumNodes, unsafeKeys } from "./document-node.ts";

/**
 * Reads the plain part of YAML that programs write, and most people too: block maps and lists, JSON, strings in quotes and
 * words on one line, comments on lines of their own. It takes a tenth of the library's time, which counts for templates of
 * thousands of groups. Null for everything else, mistakes included: those the library reads, and says what is wrong. What
 * is not null is what the library gives; a test compares the two.
 */
export function readPlain(text: string): { readonly value: Json } | null {
  try {
    return { value: new PlainReader(text).document() };
  } catch (error) {
    // A string of many megabytes is more than a pattern can take.
    if (error === notPlain || error instanceof RangeError) return null;
    throw error;
  }
}

/** Thrown to give up; never shown. */
const notPlain = new Error("not plain YAML");

const [newline, tab, carriage, space, hash] = [10, 9, 13, 32, 35];
const [double, single, comma, dash, colon] = [34, 39, 44, 45, 58];
const [bracket, bracketEnd, brace, braceEnd] = [91, 93, 123, 125];
/** The library takes up to 1,024 characters, quotes included. */
const longestKey = 1_000;

const blockKey = /[A-Za-z_][\w./-]*(?=:(?:[ \n]|$))/y;
const flowKey = /[A-Za-z_][\w./-]*(?=:[ \n])/y;
const blockWords = /[\w./$(\\^=-](?:[^:#\n\r\t\u007f-\uffff]|:(?=[^ #\n\r\t\u007f-\uffff]))*/y;
const flowWord = /-?[A-Za-z0-9_./][\w./-]*/y;
const inDouble = /"(?:[^"\\\n\r\t\u0085\u2028\u2029\ufeff]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"/y;
const inSingle = /'(?:[^'\n\r\t\u0085\u2028\u2029\ufeff]|'')*'/y;
const constant = /^(?:null|Null|NULL|true|True|TRUE|false|False|FALSE)$/u;
/** Whatever YAML 1.2 may take for a number; of those only the plainest are read here. */
const numeric =
  /^[-+]?(?:0o[0-7]+|0x[0-9a-fA-F]+|(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?|\.(?:inf|Inf|INF|nan|NaN|NAN))$/u;
const plainNumber = /^(?:0|-?[1-9]\d{0,14})(?:\.\d{1,15})?$/u;

class PlainReader {
  readonly #text: string;
  #at = 0;
  #nodes = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): Json {
    if (this.#nextLine() !== 0) throw notPlain;
    const isJson = this.#code() === brace;
    const value = isJson ? this.#flow(0, { lines: true }) : this.#block(0, 0);
    if (isJson) this.#endLine();
    if (this.#nextLine() !== -1) throw notPlain;
    return value;
  }

  /** A map or a list whose first member stands here, at column `indent`. */
  #block(indent: number, depth: number): Json {
    this.#count(depth);
    return this.#isItem() ? this.#list(indent, depth) : this.#map(indent, depth);
  }

  #map(indent: number, depth: number): Json {
    const members: Record<string, Json> = {};
    for (;;) {
      const key = this.#key(blockKey, members);
      this.#at += 1;
      const next = this.#code();
      if (next !== space && next !== newline && this.#at < this.#text.length) throw notPlain;
      members[key] = this.#member(indent, depth + 1);
      const { column, isItem } = this.#peek();
      if (column < indent) return members;
      if (column > indent || isItem) throw notPlain;
      this.#nextLine();
    }
  }

  /** What follows the colon. A list may stand at the column of its key. */
  #member(indent: number, depth: number): Json {
    if (!this.#isLineOver()) return this.#inline(indent, depth);
    const { column, isItem } = this.#peek();
    if (column > indent || (column === indent && isItem))
      return this.#block(this.#nextLine(), depth);
    return this.#none(depth);
  }

  #list(indent: number, depth: number): Json {
    const items: Json[] = [];
    for (;;) {
      items.push(this.#item(indent, depth + 1));
      const { column, isItem } = this.#peek();
      if (column > indent) throw notPlain;
      if (column < indent || !isItem) return items;
      this.#nextLine();
    }
  }

  #item(indent: number, depth: number): Json {
    const dashAt = this.#at;
    this.#at += 1;
    if (this.#isLineOver())
      return this.#peek().column > indent
        ? this.#block(this.#nextLine(), depth)
        : this.#none(depth);
    if (this.#isItem() || this.#isKey()) return this.#block(indent + this.#at - dashAt, depth);
    return this.#inline(indent, depth);
  }

  /** A value on the rest of the line. A line further in would go on with it. */
  #inline(indent: number, depth: number): Json {
    this.#count(depth);
    const code = this.#code();
    if (this.#isItem()) throw notPlain;
    const value =
      code === brace || code === bracket
        ? this.#flow(depth, { lines: false })
        : this.#scalar(blockWords);
    this.#endLine();
    if (this.#peek().column > indent) throw notPlain;
    return value;
  }

  /** A map or a list in brackets. It goes over several lines only where no column counts. */
  #flow(depth: number, how: { readonly lines: boolean }): Json {
    this.#count(depth);
    const isMap = this.#code() === brace;
    const end = isMap ? braceEnd : bracketEnd;
    const members: Record<string, Json> = {};
    const items: Json[] = [];
    this.#at += 1;
    this.#skip(how.lines);
    let isOver = this.#code() === end;
    while (!isOver) {
      if (isMap) {
        const key = this.#key(flowKey, members);
        this.#at += 1;
        this.#skip(how.lines);
        members[key] = this.#flowValue(depth + 1, how);
      } else items.push(this.#flowValue(depth + 1, how));
      this.#skip(how.lines);
      isOver = this.#code() === end;
      if (!isOver) this.#comma(how.lines);
    }
    this.#at += 1;
    return isMap ? members : items;
  }

  #comma(lines: boolean): void {
    if (this.#code() !== comma) throw notPlain;
    this.#at += 1;
    this.#skip(lines);
  }

  #flowValue(depth: number, how: { readonly lines: boolean }): Json {
    const code = this.#code();
    if (code === brace || code === bracket) return this.#flow(depth, how);
    this.#count(depth);
    return this.#scalar(flowWord);
  }

  #scalar(words: RegExp): Json {
    return this.#quoted() ?? valueOf(this.#match(words).trimEnd());
  }

  /** The key that stands here; leaves its colon. */
  #key(plain: RegExp, members: Readonly<Record<string, Json>>): string {
    const key = this.#quoted() ?? this.#match(plain);
    const isPlain = key === "" || this.#text.charCodeAt(this.#at - 1) !== double;
    if (this.#code() !== colon || key.length > longestKey || unsafeKeys.has(key)) throw notPlain;
    if ((isPlain && constant.test(key)) || Object.hasOwn(members, key)) throw notPlain;
    return key;
  }

  #isKey(): boolean {
    const before = this.#at;
    const isQuoted = this.#quoted() !== null;
    const next = this.#text.charCodeAt(this.#at + 1);
    const isKey = isQuoted
      ? this.#code() === colon && (next === space || next === newline)
      : found(blockKey, this.#text, before) !== null;
    this.#at = before;
    return isKey;
  }

  /** The string in quotes that stands here; null where none does. */
  #quoted(): string | null {
    const code = this.#code();
    if (code === single) return this.#match(inSingle).slice(1, -1).replaceAll("''", "'");
    if (code !== double) return null;
    const literal = this.#match(inDouble);
    if (!literal.includes("\\")) return literal.slice(1, -1);
    const text: string = JSON.parse(literal);
    return text;
  }

  #none(depth: number): null {
    this.#count(depth);
    return null;
  }

  #count(depth: number): void {
    this.#nodes += 1;
    if (depth > maximumDepth || this.#nodes > maximumNodes) throw notPlain;
  }

  #code(): number {
    return this.#text.charCodeAt(this.#at);
  }

  #match(pattern: RegExp): string {
    const text = found(pattern, this.#text, this.#at);
    if (text === null) throw notPlain;
    this.#at += text.length;
    return text;
  }

  #skip(lines: boolean): void {
    const over = lines ? newline : space;
    let code = this.#code();
    while (code === space || code === over) {
      this.#at += 1;
      code = this.#code();
    }
  }

  /** A dash with nothing or a space behind it begins an item. */
  #isItem(): boolean {
    if (this.#code() !== dash) return false;
    const next = this.#text.charCodeAt(this.#at + 1);
    return next === space || next === newline || Number.isNaN(next);
  }

  #isLineOver(): boolean {
    this.#skip(false);
    return this.#at >= this.#text.length || this.#code() === newline;
  }

  #endLine(): void {
    if (!this.#isLineOver()) throw notPlain;
    this.#at += 1;
  }

  /** Goes to what the next line holds, past empty lines and comments, and gives its column; -1 at the end of the text. */
  #nextLine(): number {
    for (;;) {
      const start = this.#at;
      this.#skip(false);
      if (this.#at >= this.#text.length) return -1;
      const code = this.#code();
      if (code === tab || code === carriage) throw notPlain;
      if (code === hash) this.#at = endOfLine(this.#text, this.#at);
      else if (code !== newline) return this.#at - start;
      this.#at += 1;
    }
  }

  /** What the next line begins with; stays here. */
  #peek(): { readonly column: number; readonly isItem: boolean } {
    const before = this.#at;
    if (this.#code() === newline) this.#at += 1;
    const column = this.#nextLine();
    const isItem = column >= 0 && this.#isItem();
    this.#at = before;
    return { column, isItem };
  }
}

function found(pattern: RegExp, text: string, at: number): string | null {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? null;
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end < 0 ? text.length : end;
}

function valueOf(text: string): Json {
  if (constant.test(text)) {
    const name = text.toLowerCase();
    return name === "null" ? null : name === "true";
  }
  if (!numeric.test(text)) return text;
  if (!plainNumber.test(text)) throw notPlain;
  return Number(text);
}
