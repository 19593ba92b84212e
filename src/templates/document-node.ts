import { isAlias, isMap, isScalar, isSeq } from "yaml";
import type { ParsedNode } from "yaml";
import type { Json } from "../lib/json.ts";
import type { Path, Problems } from "./problem.ts";

/** How deep a template may nest, and how many values it may hold. */
export const maximumDepth = 50;
export const maximumNodes = 3_000_000;

export const unsafeKeys: ReadonlySet<string> = new Set(["__proto__", "$secret", "$text"]);

/** Turns a parsed node into JSON in one visit, and names everything that is no plain JSON. */
export function readNode(root: ParsedNode, problems: Problems): Json {
  return new Reader(problems).read(root, []);
}

class Reader {
  readonly #problems: Problems;
  #nodes = 0;

  constructor(problems: Problems) {
    this.#problems = problems;
  }

  read(node: ParsedNode | null, path: Path): Json {
    this.#nodes += 1;
    if (node === null || this.#nodes > maximumNodes) return this.#tooMany(path);
    if (path.length > maximumDepth) {
      this.#problems.add(
        { path },
        `this is nested more than ${maximumDepth} levels deep: make it flatter`,
      );
      return null;
    }
    if (isAlias(node)) {
      this.#problems.add({ path }, `the alias *${node.source} is not taken: write the value out`);
      return null;
    }
    if (node.tag !== undefined) {
      this.#problems.add(
        { path },
        `the tag ${node.tag} is not taken: remove it, plain YAML values have the right type`,
      );
      return null;
    }
    if (isScalar(node)) return this.#scalar(node.value, path);
    if (isSeq(node))
      return node.items.map((item, index) => this.read(asNode(item), [...path, index]));
    return isMap(node) ? this.#map(node.items, path) : null;
  }

  #tooMany(path: Path): null {
    if (this.#nodes === maximumNodes + 1) {
      this.#problems.add(
        { path },
        `the file holds more than ${maximumNodes} values: split the template`,
      );
    }
    return null;
  }

  #scalar(value: unknown, path: Path): Json {
    if (typeof value === "string" || typeof value === "boolean" || value === null) return value;
    if (typeof value === "bigint") {
      const number = Number(value);
      if (Number.isSafeInteger(number)) return number;
      this.#problems.add(
        { path },
        `the integer ${value} is beyond ±9007199254740991: quote it to keep it as text`,
      );
    } else if (typeof value === "number") {
      if (Number.isFinite(value)) return value;
      this.#problems.add({ path }, `${value} is no number that JSON has: write a finite one`);
    } else this.#problems.add({ path }, "this is no plain value: quote it");
    return null;
  }

  #map(items: readonly { readonly key: unknown; readonly value: unknown }[], path: Path): Json {
    const members = new Map<string, Json>();
    for (const { key, value } of items) {
      const name = this.#key(key, path);
      if (name === null) continue;
      const at = [...path, name];
      if (members.has(name)) {
        this.#duplicate(key, at);
        continue;
      }
      members.set(name, this.read(asNode(value), at));
    }
    return Object.fromEntries(members);
  }

  #key(key: unknown, path: Path): string | null {
    if (!isScalar(key)) {
      this.#problems.add(
        { path },
        'a key is not a plain word: quote the value if it holds an expression ("${{ … }}"), else check the brackets',
      );
      return null;
    }
    if (typeof key.value !== "string") {
      const at = { path, place: key.range?.[0] };
      this.#problems.add(at, `the key ${String(key.value)} is not text: quote it`);
      return null;
    }
    if (unsafeKeys.has(key.value)) {
      const at = { path: [...path, key.value], place: key.range?.[0] };
      this.#problems.add(at, `the key ${key.value} is reserved: use another name`);
      return null;
    }
    return key.value;
  }

  #duplicate(key: unknown, path: Path): void {
    const place = isScalar(key) ? key.range?.[0] : undefined;
    this.#problems.add(
      { path, place },
      `the key ${String(path.at(-1))} stands here twice: remove one or rename it`,
    );
  }
}

function asNode(value: unknown): ParsedNode | null {
  return isScalar(value) || isMap(value) || isSeq(value) || isAlias(value) ? narrowed(value) : null;
}

function narrowed(value: object): ParsedNode | null {
  return isParsed(value) ? value : null;
}

function isParsed(value: object): value is ParsedNode {
  return "range" in value && value.range !== null && value.range !== undefined;
}
