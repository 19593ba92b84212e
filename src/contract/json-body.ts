import { GlasshouseError } from "../domain/errors.ts";
import { requestLimits } from "./rest-route.ts";
import { pointerOf } from "./issues.ts";

/**
 * Parses a JSON body. Refused as `invalid-request`: bytes that are not UTF-8, malformed JSON (with line and column, never
 * with the text itself, which may hold a secret), more levels than the limit, and keys named `__proto__`.
 */
export function parseJsonBody(bytes: Uint8Array): unknown {
  const text = decode(bytes);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw malformed(text);
  }
  refuseUnsafe(value);
  return value;
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new GlasshouseError("invalid-request", "The body is not UTF-8 text; send it as UTF-8.", {
      cause,
    });
  }
}

function malformed(text: string): GlasshouseError {
  const offset = firstFault(text);
  const before = text.slice(0, offset);
  const line = before.split("\n").length;
  const column = offset - before.lastIndexOf("\n");
  const what = offset >= text.length ? "it ends too early" : "this is not JSON from there on";
  const place = `line ${line}, column ${column}`;
  return new GlasshouseError("invalid-request", `The body is not JSON: at ${place} ${what}.`, {
    details: [{ message: `Malformed JSON at ${place}: ${what}.`, place: `body:${line}:${column}` }],
  });
}

const token =
  /[ \t\n\r]*(?:(?<mark>[{}[\],:])|(?<text>"(?:[ !#-[\]-\u{10ffff}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(?<word>-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null))/uy;

/** Where a text stops being JSON. Only called when it is none. */
function firstFault(text: string): number {
  const open: string[] = [];
  let wanted: Wanted = "value";
  token.lastIndex = 0;
  for (;;) {
    const start = token.lastIndex;
    const found = token.exec(text)?.groups;
    if (found === undefined) return skipSpace(text, start);
    const at = skipSpace(text, start);
    const { mark } = found;
    const isText = found["text"] !== undefined;
    const isValue = mark === undefined;
    const next = step(wanted, { mark, isText, isValue }, open);
    if (next === null) return at;
    wanted = next;
  }
}

type Wanted = "value" | "first" | "key" | "firstKey" | "colon" | "next" | "end";

/** What may follow a token, or null when the token itself may not stand here. */
function step(
  wanted: Wanted,
  found: {
    readonly mark: string | undefined;
    readonly isText: boolean;
    readonly isValue: boolean;
  },
  open: string[],
): Wanted | null {
  const { mark, isText, isValue } = found;
  if (wanted === "colon") return mark === ":" ? "value" : null;
  if (wanted === "key" || wanted === "firstKey") {
    if (isText) return "colon";
    return wanted === "firstKey" && mark === "}" ? closed(open) : null;
  }
  if (wanted === "next") {
    if (mark === ",") return open.at(-1) === "{" ? "key" : "value";
    const closing = open.at(-1) === "{" ? "}" : "]";
    return mark === closing ? closed(open) : null;
  }
  if (wanted === "end") return null;
  if (isValue) return open.length === 0 ? "end" : "next";
  if (mark === "{" || mark === "[") {
    open.push(mark);
    return mark === "{" ? "firstKey" : "first";
  }
  return wanted === "first" && mark === "]" ? closed(open) : null;
}

function closed(open: string[]): Wanted {
  open.pop();
  return open.length === 0 ? "end" : "next";
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && " \t\n\r".includes(text.charAt(at))) at += 1;
  return at;
}

interface Level {
  readonly value: object;
  readonly path: Path | null;
  readonly depth: number;
}

interface Path {
  readonly key: string;
  readonly above: Path | null;
}

/** Walks without recursion, so that depth is an answer and not a fault. */
function refuseUnsafe(root: unknown): void {
  if (typeof root !== "object" || root === null) return;
  const stack: Level[] = [{ value: root, path: null, depth: 1 }];
  for (let level = stack.pop(); level !== undefined; level = stack.pop()) {
    if (level.depth > requestLimits.jsonDepth) throw tooDeep();
    const members: readonly (readonly [string, unknown])[] = Object.entries(level.value);
    for (const [key, value] of members) {
      const path: Path = { key, above: level.path };
      if (key === "__proto__") throw hostileKey(path);
      if (typeof value === "object" && value !== null)
        stack.push({ value, path, depth: level.depth + 1 });
    }
  }
}

function tooDeep(): GlasshouseError {
  return new GlasshouseError(
    "invalid-request",
    `The body has lists and maps within each other deeper than ${requestLimits.jsonDepth} levels; make it flatter.`,
  );
}

function hostileKey(path: Path): GlasshouseError {
  const keys: string[] = [];
  for (let part: Path | null = path; part !== null; part = part.above) keys.unshift(part.key);
  const pointer = pointerOf(keys);
  return new GlasshouseError(
    "invalid-request",
    `The key __proto__ is not allowed: remove ${pointer}.`,
    {
      details: [{ message: "The key __proto__ is not allowed: remove it.", pointer }],
    },
  );
}
