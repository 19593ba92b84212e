import {
  isAlias,
  isMap,
  isScalar,
  LineCounter,
  parseDocument,
  type Document,
  type Node,
  type YAMLMap,
} from "yaml";
import type { ErrorDetail } from "../domain/errors.ts";
import { nearest } from "../lib/nearest.ts";
import { configKeys, membersOf } from "./config-keys.ts";
import type { FoundValue } from "./config-values.ts";

/** What a file says: values by key, and every mistake of its form. */
export interface ConfigFile {
  readonly values: ReadonlyMap<string, FoundValue>;
  readonly problems: readonly ErrorDetail[];
}

/** What the text of the file at `path` says. It never throws: mistakes are among its problems. */
export function parseConfigFile(path: string, text: string): ConfigFile {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    uniqueKeys: true,
    prettyErrors: false,
  });
  const place = (node: Node | null): string => {
    const { line, col } = lines.linePos(node?.range?.[0] ?? 0);
    return `${path}:${line}:${col}`;
  };
  const faults = [...document.errors, ...document.warnings].map((error) => ({
    message: error.message.split("\n")[0] ?? "",
    place: `${path}:${lines.linePos(error.pos[0]).line}:${lines.linePos(error.pos[0]).col}`,
  }));
  if (faults.length > 0) return { values: new Map(), problems: faults };
  const reader = new Reader(document, place);
  reader.readSection(document.contents, []);
  return reader;
}

/** Walks the file beside the known keys. */
class Reader implements ConfigFile {
  readonly values = new Map<string, FoundValue>();
  readonly problems: ErrorDetail[] = [];
  readonly #document: Document;
  readonly #place: (node: Node | null) => string;

  constructor(document: Document, place: (node: Node | null) => string) {
    this.#document = document;
    this.#place = place;
  }

  readSection(node: unknown, path: readonly string[]): void {
    if (node === null || (isScalar(node) && node.value === null)) return;
    if (isMap(node)) return this.#readMembers(node, path);
    const what = path.length === 0 ? "the file" : path.join(".");
    this.problems.push({
      message: `${what} must be a mapping of ${membersOf(path).join(", ")}`,
      place: this.#place(isScalar(node) ? node : null),
    });
  }

  #readMembers(map: YAMLMap, path: readonly string[]): void {
    for (const { key, value } of map.items) {
      const name = isScalar(key) ? String(key.value) : "";
      const node = isScalar(key) ? key : null;
      const below = [...path, name];
      const members = membersOf(path);
      if (!members.includes(name)) this.#unknown(below, node, members);
      else if (configKeys.some((known) => known.key === below.join(".")))
        this.#readValue(below.join("."), value, node);
      else this.readSection(value, below);
    }
  }

  #readValue(key: string, value: unknown, keyNode: Node | null): void {
    const place = this.#place(keyNode);
    if (isAlias(value)) this.problems.push({ message: `${key}: aliases are not allowed`, place });
    if (value === null || (isScalar(value) && value.value === null) || isAlias(value)) return;
    try {
      const plain: unknown = isScalar(value) ? value.value : this.#plain(value);
      this.values.set(key, { value: plain, origin: place, from: "file" });
    } catch {
      this.problems.push({ message: `${key}: aliases are not allowed`, place });
    }
  }

  #plain(value: unknown): unknown {
    if (!isMap(value) && typeof value !== "object") return value;
    const node = this.#document.createNode(value);
    const plain: unknown = node.toJS(this.#document, { maxAliasCount: 0 });
    return plain;
  }

  #unknown(path: readonly string[], node: Node | null, members: readonly string[]): void {
    const near = nearest(path.at(-1) ?? "", members);
    const hint = near === null ? `known are ${members.join(", ")}` : `did you mean ${near}?`;
    this.problems.push({
      message: `there is no key ${path.join(".")}; ${hint}`,
      place: this.#place(node),
    });
  }
}
