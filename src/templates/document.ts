import { isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import type { Document, ParsedNode } from "yaml";
import type { Json } from "../lib/json.ts";
import { readNode } from "./document-node.ts";
import { readPlain } from "./plain-document.ts";
import type { Path, Problem, Spot } from "./problem.ts";
import { Problems } from "./problem.ts";

/** A template file as data, with the place of everything in it. */
export interface TemplateDocument {
  readonly value: Json;
  locate(spot: Spot): { readonly line: number; readonly column: number };
}

/** 10,000 large groups fit; more is no template. In UTF-16 units. */
export const maximumText = 16 * 1024 * 1024;

/** YAML allows no control characters but tab and line ends; a byte order mark at the begin is fine. */
// eslint-disable-next-line no-control-regex
const controls = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/u;

/**
 * Reads YAML 1.2 without aliases, tags, directives or duplicate keys. Syntax errors come alone, as what follows them
 * is guesswork; everything else is found at once.
 */
export function readDocument(text: string, file: string): ReadDocument {
  const plain = text.length > maximumText || controls.test(text) ? null : readPlain(text);
  if (plain === null) return readByLibrary(text, file);
  // Places are asked for only where something is wrong, or worth a warning.
  let whole: ReadDocument | null = null;
  return {
    value: plain.value,
    locate: (spot) => {
      whole ??= readByLibrary(text, file);
      return "value" in whole ? whole.locate(spot) : { line: 1, column: 1 };
    },
  };
}

type ReadDocument = TemplateDocument | { readonly problems: readonly Problem[] };

/** Every document, at the library's pace. */
export function readByLibrary(text: string, file: string): ReadDocument {
  if (text.length > maximumText) {
    const message = `the file has ${text.length} characters: at most ${maximumText} are taken`;
    return { problems: [{ file, line: 1, column: 1, message, pointer: "" }] };
  }
  const control = controls.exec(text);
  if (control !== null) {
    const before = text.slice(0, control.index).split("\n");
    const code = control[0].charCodeAt(0).toString(16).padStart(2, "0");
    const message = `the file holds the control character \\x${code}: remove it`;
    const column = (before.at(-1) ?? "").length + 1;
    return { problems: [{ file, line: before.length, column, message, pointer: "" }] };
  }
  const lines = new LineCounter();
  const document = parse(text, lines);
  const at = (offset: number): { line: number; column: number } => {
    const { line, col } = lines.linePos(Math.min(offset, text.length));
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const syntax = syntaxError(document, text);
  if (syntax !== null)
    return { problems: [{ file, ...at(syntax.offset), message: syntax.message, pointer: "" }] };
  const problems = new Problems();
  const value = document.contents === null ? null : readNode(document.contents, problems);
  const locate = (spot: Spot): { line: number; column: number } =>
    at(offsetOf(document.contents, spot, text));
  if (!problems.none) return { problems: problems.list(locate, file) };
  return { value, locate };
}

function parse(text: string, lineCounter: LineCounter): Document.Parsed {
  return parseDocument(text, {
    lineCounter,
    // The library's own check of duplicates is quadratic; `readNode` finds them in one visit.
    uniqueKeys: false,
    intAsBigInt: true,
    prettyErrors: false,
    merge: false,
    version: "1.2",
    // Not "silent": that hides a second document.
    logLevel: "error",
  });
}

interface SyntaxFault {
  readonly offset: number;
  readonly message: string;
}

function syntaxError(document: Document.Parsed, text: string): SyntaxFault | null {
  if (
    document.directives.yaml.explicit === true ||
    document.directives.tags["!!"] !== "tag:yaml.org,2002:"
  ) {
    return {
      offset: 0,
      message: "directives (%YAML, %TAG) are not taken: remove them, the file is YAML 1.2",
    };
  }
  const error = document.errors[0];
  if (error === undefined) return null;
  const offset = error.pos[0];
  return {
    offset,
    message: `${sentence(error.message)}: ${adviceFor(error.code, lineAround(text, offset))}`,
  };
}

const advice: Readonly<Record<string, string>> = {
  MULTIPLE_DOCS: "a template is one document, remove everything from the second `---` on",
  TAB_AS_INDENT: "indent with spaces",
  BAD_INDENT: "check the indentation and the closing brackets",
  BLOCK_AS_IMPLICIT_KEY: "quote the value if it contains `: `",
  BAD_SCALAR_START: "quote the value",
  BAD_ALIAS: "aliases are not taken, write the value out",
  MISSING_CHAR: "add what is missing",
};

function adviceFor(code: string, line: string): string {
  if (/\$\{\{/u.test(line))
    return 'quote the whole value that holds an expression, as in "${{ a ? b : c }}"';
  return advice[code] ?? "check quotes, brackets and indentation here";
}

function sentence(message: string): string {
  if (message.startsWith("Source contains multiple documents"))
    return "the file holds several documents";
  return `not valid YAML: ${message.split("\n")[0] ?? ""}`;
}

function lineAround(text: string, offset: number): string {
  const start = text.lastIndexOf("\n", Math.max(0, offset - 1)) + 1;
  const end = text.indexOf("\n", offset);
  return text.slice(start, end < 0 ? undefined : end);
}

/** Offset in the text of a place in the data; of the nearest thing around it where it is not there. */
function offsetOf(root: ParsedNode | null, spot: Spot, text: string): number {
  if (spot.place !== undefined) return spot.place;
  let node = root;
  let offset = root?.range[0] ?? 0;
  for (const [index, part] of spot.path.entries()) {
    const last = index === spot.path.length - 1;
    const found = memberOf(node, part);
    if (found === null) return offset;
    if (found.key !== null && (last || found.value === null || isMap(found.value)))
      offset = found.key;
    else offset = found.value?.range[0] ?? offset;
    if (last && spot.key !== true && found.value !== null) offset = found.value.range[0];
    node = found.value;
  }
  return spot.offset === undefined || node === null
    ? offset
    : offsetInText(node, spot.offset, text);
}

function memberOf(
  node: ParsedNode | null,
  part: Path[number],
): { readonly key: number | null; readonly value: ParsedNode | null } | null {
  if (isSeq(node) && typeof part === "number") {
    const value = node.items[part];
    return value === undefined ? null : { key: null, value: isPair(value) ? null : value };
  }
  if (!isMap(node)) return null;
  const pair = node.items.find((item) => isScalar(item.key) && item.key.value === part);
  return pair === undefined ? null : { key: pair.key.range[0], value: pair.value };
}

function isPair(value: object): value is never {
  return "key" in value && !("range" in value);
}

/**
 * Place of an offset within a string's value. Quoting, escapes and folding move text, so the begin of the n-th
 * expression of the value is looked for as the n-th `${{` of the source; what follows it is taken to stand as written.
 */
function offsetInText(node: ParsedNode, offset: number, text: string): number {
  const [start, end] = node.range;
  if (!isScalar(node) || typeof node.value !== "string") return start;
  const source = text.slice(start, end);
  const before = node.value.slice(0, offset + 3);
  const count = before.split("${{").length - 1;
  if (count === 0) return start;
  let inValue = -1;
  let inSource = -1;
  for (let n = 0; n < count; n += 1) {
    inValue = node.value.indexOf("${{", inValue + 1);
    inSource = source.indexOf("${{", inSource + 1);
    if (inSource < 0) return start;
  }
  const distance = Math.max(0, offset - inValue);
  const unchanged = source.startsWith(node.value.slice(inValue, offset), inSource);
  return start + inSource + (unchanged ? distance : 0);
}
