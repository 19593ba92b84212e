import { nearest } from "../lib/nearest.ts";
import { GlasshouseError } from "./errors.ts";
import { foundKinds, searchStatuses } from "./search-document.ts";
import { wordsOf, type KeyField } from "./search-words.ts";

/** A query as a tree of what must hold. */
export type SearchNode =
  | { readonly kind: "all" | "any"; readonly of: readonly SearchNode[] }
  | { readonly kind: "not"; readonly of: SearchNode }
  | SearchWords
  | SearchKey
  | { readonly kind: "status"; readonly status: string };

/** These words beside each other, in the name alone or anywhere. With `prefix`, the last may go on. */
export interface SearchWords {
  readonly kind: "words";
  readonly words: readonly string[];
  readonly prefix: boolean;
  readonly inName: boolean;
}

/** A field with this value; with `prefix`, one that begins so. */
export interface SearchKey {
  readonly kind: "key";
  readonly field: KeyField;
  readonly value: string;
  readonly prefix: boolean;
}

export const searchLimits = {
  /** Characters of a query. */
  length: 500,
  /** Words, phrases and fields in a query. */
  terms: 32,
  /** Parentheses within each other. */
  depth: 8,
} as const;

export const searchFields = [
  "kind",
  "name",
  "environment",
  "template",
  "group",
  "status",
  "type",
  "tag",
] as const;

type Field = (typeof searchFields)[number];

/**
 * Reads a query. Errors: `invalid-request`, which says where (from 1), what is wrong there, and what is possible.
 */
export function parseSearch(text: string): SearchNode {
  if (text.length > searchLimits.length)
    throw refused(`The query has ${text.length} characters; the most is ${searchLimits.length}.`);
  const reading: Reading = { text, at: 0, terms: 0, depth: 0 };
  skipBlanks(reading);
  if (reading.at >= text.length)
    throw refused("The query is empty: give at least one word or field.");
  const node = readAny(reading);
  if (reading.at < text.length)
    throw wrong(reading.at, "this parenthesis closes none that is open; remove it");
  return node;
}

interface Reading {
  readonly text: string;
  at: number;
  terms: number;
  depth: number;
}

/** Alternatives: lists with `OR` between. */
function readAny(reading: Reading): SearchNode {
  const of = [readAll(reading)];
  while (reads(reading, "OR")) of.push(readAll(reading));
  const [only] = of;
  return of.length === 1 && only !== undefined ? only : { kind: "any", of };
}

/** What must all hold, one after the other. */
function readAll(reading: Reading): SearchNode {
  const of: SearchNode[] = [];
  for (;;) {
    while (reads(reading, "AND")) {
      if (of.length === 0 || !beginsOne(reading))
        throw wrong(reading.at, "AND needs something on both sides");
    }
    if (!beginsOne(reading)) break;
    of.push(readOne(reading));
  }
  const [only] = of;
  if (only === undefined)
    throw wrong(
      reading.at,
      "something to search for is missing here; to search for the words OR and AND themselves, put them into quotes",
    );
  return of.length === 1 ? only : { kind: "all", of };
}

function beginsOne(reading: Reading): boolean {
  skipBlanks(reading);
  const { text, at } = reading;
  return at < text.length && text[at] !== ")" && !/^OR(?=[\s()]|$)/u.test(text.slice(at));
}

function readOne(reading: Reading): SearchNode {
  const { text, at } = reading;
  if (text[at] === "-") {
    reading.at += 1;
    const next = text[reading.at];
    if (next === undefined || /[\s)-]/u.test(next))
      throw wrong(at, "- excludes what follows it, and nothing follows");
    return { kind: "not", of: readOne(reading) };
  }
  return text[at] === "(" ? readGroup(reading) : readTerm(reading);
}

function readGroup(reading: Reading): SearchNode {
  const opened = reading.at;
  reading.depth += 1;
  if (reading.depth > searchLimits.depth)
    throw wrong(opened, `more than ${searchLimits.depth} parentheses within each other`);
  reading.at += 1;
  const node = readAny(reading);
  if (reading.text[reading.at] !== ")")
    throw wrong(opened, "this parenthesis is not closed; add a )");
  reading.at += 1;
  reading.depth -= 1;
  return node;
}

/** What is written of a term. */
interface Written {
  readonly at: number;
  readonly value: string;
  readonly prefix: boolean;
  /** In quotes. */
  readonly exact: boolean;
}

function readTerm(reading: Reading): SearchNode {
  const start = reading.at;
  reading.terms += 1;
  if (reading.terms > searchLimits.terms)
    throw wrong(start, `more than ${searchLimits.terms} words and fields; ask for less at once`);
  const [, name] = /^([A-Za-z]+):/u.exec(reading.text.slice(start)) ?? [];
  if (name === undefined) return wordsNode(readValue(reading), false);
  reading.at += name.length + 1;
  return fieldNode(fieldOf(name, start), readValue(reading));
}

function fieldOf(name: string, at: number): Field {
  const field = searchFields.find((each) => each === name);
  if (field !== undefined) return field;
  const meant = nearest(name, searchFields);
  const way =
    meant === null ? `the fields are ${searchFields.join(", ")}.` : `did you mean ${meant}:?`;
  throw wrong(at, `there is no field ${name}; ${way} To search for the text, put it into quotes`);
}

function readValue(reading: Reading): Written {
  const { text, at } = reading;
  if (text[at] === '"') return readQuoted(reading);
  const [run = ""] = /^[^\s()"]*/u.exec(text.slice(at)) ?? [];
  reading.at += run.length;
  const value = run.endsWith("*") ? run.slice(0, -1) : run;
  if (value.includes("*"))
    throw wrong(at + value.indexOf("*"), "* stands at the end of a word only: web*");
  return { at, value, prefix: run.endsWith("*"), exact: false };
}

function readQuoted(reading: Reading): Written {
  const { text, at } = reading;
  const end = text.indexOf('"', at + 1);
  if (end < 0) throw wrong(at, 'this quote is not closed; add a "');
  const prefix = text[end + 1] === "*";
  reading.at = end + (prefix ? 2 : 1);
  return { at, value: text.slice(at + 1, end), prefix, exact: true };
}

function fieldNode(field: Field, written: Written): SearchNode {
  const { value, at, prefix } = written;
  if (field === "name") return wordsNode(written, true);
  if (value === "") throw wrong(at, `${field}: needs a value right after it: ${examples[field]}`);
  if (field === "status") return { kind: "status", status: oneOf(written, searchStatuses) };
  if (field === "kind")
    return { kind: "key", field, value: oneOf(written, foundKinds), prefix: false };
  return { kind: "key", field, value, prefix };
}

const examples: Readonly<Record<Field, string>> = {
  kind: "kind:resource",
  name: "name:web*",
  environment: "environment:shop",
  template: "template:starter",
  group: "group:network",
  status: "status:deployed-failed",
  type: "type:aws_instance",
  tag: "tag:team or tag:team=core",
};

function oneOf({ value, at, prefix }: Written, known: readonly string[]): string {
  if (!prefix && known.includes(value)) return value;
  const meant = nearest(value, known);
  throw wrong(
    at,
    meant === null
      ? `there is no ${value}${prefix ? "*" : ""} here; possible are ${known.join(", ")}`
      : `there is no ${value} here; did you mean ${meant}?`,
  );
}

function wordsNode({ value, at, prefix, exact }: Written, inName: boolean): SearchNode {
  const words = wordsOf(value);
  if (words.length === 0)
    throw wrong(
      at,
      exact || value !== ""
        ? "there is no letter or digit to search for"
        : "a word to search for is missing",
    );
  if (words.length > searchLimits.terms)
    throw wrong(at, `more than ${searchLimits.terms} words in one phrase`);
  return { kind: "words", words, prefix, inName };
}

/** Reads the word if it is there by itself. */
function reads(reading: Reading, word: "OR" | "AND"): boolean {
  skipBlanks(reading);
  const rest = reading.text.slice(reading.at);
  if (!rest.startsWith(word) || !/^(?:[\s()]|$)/u.test(rest.slice(word.length))) return false;
  reading.at += word.length;
  skipBlanks(reading);
  return true;
}

function skipBlanks(reading: Reading): void {
  while (/\s/u.test(reading.text[reading.at] ?? "")) reading.at += 1;
}

function wrong(at: number, what: string): GlasshouseError {
  return refused(`At position ${at + 1} of the query: ${what}${what.endsWith("?") ? "" : "."}`);
}

function refused(message: string): GlasshouseError {
  return new GlasshouseError("invalid-request", message, {
    details: [{ message, place: "query:q" }],
  });
}
