import type { ASTNode } from "@marcbachmann/cel-js";
import {
  callableFunctions,
  callableMethods,
  isRoot,
  loopMethods,
  roots,
} from "./expression-cel.ts";
import type { Root } from "./expression-cel.ts";
import type { TextMistake } from "./expression-text.ts";
import { nearest } from "../lib/nearest.ts";

export type ReferenceKind =
  | "parameter"
  | "environment"
  | "group"
  | "requires"
  | "secret"
  | "certificate"
  | "entrypoint";

/** What an expression reads. Offsets are UTF-16 units within the string that holds the expression. */
export interface Reference {
  readonly kind: ReferenceKind;
  /** Of the parameter, group, requirement, …; for `environment` its member (`id`, `name`, `tags`). */
  readonly name: string;
  /** The output of a group or requirement, the key of a certificate, the member of an entrypoint. */
  readonly output?: string;
  /** Every member after the root, as far as they are written out. */
  readonly path: readonly string[];
  /** True when the value is handed on as it is: the only thing that may be done with a secret. */
  readonly passed: boolean;
  readonly start: number;
  readonly end: number;
}

export interface Analysis {
  readonly references: readonly Reference[];
  readonly mistakes: readonly TextMistake[];
  /** What loops evaluate once an item: the places where work is counted. */
  readonly loopBodies: readonly ASTNode[];
}

export const maximumNestedLoops = 2;

interface Walk {
  readonly references: Reference[];
  readonly mistakes: TextMistake[];
  readonly loopBodies: ASTNode[];
}

interface Position {
  readonly passed: boolean;
  readonly loops: number;
  readonly items: readonly string[];
}

/** Reads references off a parsed expression and refuses what has no bound or cannot be resolved beforehand. */
export function analyse(ast: ASTNode): Analysis {
  const walk: Walk = { references: [], mistakes: [], loopBodies: [] };
  visit(walk, ast, { passed: true, loops: 0, items: [] });
  return walk;
}

function visit(walk: Walk, node: ASTNode, at: Position): void {
  const inside: Position = at.passed ? { ...at, passed: false } : at;
  switch (node.op) {
    case "value":
      return;
    case "id":
    case ".":
    case "[]":
      visitAccess(walk, node, at);
      return;
    case ".?":
    case "[?]":
      refuse(walk, node, "optional access is not available: use has(…)");
      return;
    case "call":
    case "rcall":
      visitCall(walk, node, inside);
      return;
    case "list":
      for (const item of node.args) visit(walk, item, at);
      return;
    case "map":
      for (const [key, value] of node.args) visitEntry(walk, [key, value], at);
      return;
    case "?:":
      visit(walk, node.args[0], inside);
      visit(walk, node.args[1], at);
      visit(walk, node.args[2], at);
      return;
    case "!_":
    case "-_":
      visit(walk, node.args, inside);
      return;
    case "!=":
    case "==":
    case "in":
    case "+":
    case "-":
    case "*":
    case "/":
    case "%":
    case "<":
    case "<=":
    case ">":
    case ">=":
    case "||":
    case "&&":
      visit(walk, node.args[0], inside);
      visit(walk, node.args[1], inside);
  }
}

const unsafeKeys: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

function visitEntry(walk: Walk, [key, value]: readonly [ASTNode, ASTNode], at: Position): void {
  if (key.op !== "value" || typeof key.args !== "string") {
    refuse(walk, key, "the keys of a map must be written out as strings");
  } else if (unsafeKeys.has(key.args) || key.args.startsWith("$")) {
    refuse(walk, key, `a map cannot have the key ${JSON.stringify(key.args)}: use another one`);
  }
  visit(walk, value, at);
}

function visitCall(walk: Walk, node: ASTNode & { op: "call" | "rcall" }, inside: Position): void {
  if (node.op === "call") {
    const [name, args] = node.args;
    if (!callableFunctions.has(name)) refuseFunction(walk, node, name);
    for (const argument of args) visit(walk, argument, inside);
    return;
  }
  const [name, receiver, args] = node.args;
  if (loopMethods.has(name)) {
    visitLoop(walk, { node, receiver, args }, inside);
    return;
  }
  if (!callableMethods.has(name)) refuseFunction(walk, node, name);
  visit(walk, receiver, inside);
  for (const argument of args) visit(walk, argument, inside);
}

function visitLoop(
  walk: Walk,
  loop: { readonly node: ASTNode; readonly receiver: ASTNode; readonly args: readonly ASTNode[] },
  at: Position,
): void {
  const loops = at.loops + 1;
  if (loops > maximumNestedLoops) {
    const message = `at most ${maximumNestedLoops} loops (map, filter, all, exists) may be nested: do the rest in the group that makes the value`;
    refuse(walk, loop.node, message);
    return;
  }
  visit(walk, loop.receiver, at);
  const [item, ...bodies] = loop.args;
  const name = item?.op === "id" ? item.args : "";
  if (item !== undefined && isRoot(name)) {
    refuse(walk, item, `the item of a loop cannot be called ${name}: choose another name`);
  }
  for (const body of bodies) {
    walk.loopBodies.push(body);
    visit(walk, body, { passed: false, loops, items: [...at.items, name] });
  }
}

function visitAccess(walk: Walk, node: ASTNode & { op: "id" | "." | "[]" }, at: Position): void {
  const chain = chainOf(node);
  if (chain.computed !== null) {
    refuse(
      walk,
      chain.computed,
      "a key must be written out: computed keys cannot be resolved before the run",
    );
    return;
  }
  if (chain.base.op !== "id") {
    visit(walk, chain.base, { ...at, passed: false });
    return;
  }
  const name = chain.base.args;
  if (at.items.includes(name)) return;
  if (!isRoot(name)) {
    refuse(walk, chain.base, unknownName(name));
    return;
  }
  const found = referenceOf(name, chain.path);
  if (typeof found === "string") refuse(walk, node, found);
  else
    walk.references.push({
      ...found,
      path: chain.path,
      passed: at.passed,
      start: chain.base.start,
      end: node.end,
    });
}

interface Chain {
  readonly base: ASTNode;
  readonly path: readonly string[];
  readonly computed: ASTNode | null;
}

function chainOf(node: ASTNode): Chain {
  const path: string[] = [];
  let base = node;
  while (base.op === "." || base.op === "[]") {
    if (base.op === ".") path.push(base.args[1]);
    else {
      const key = base.args[1];
      const literal = key.op === "value" ? key.args : null;
      if (typeof literal !== "string" && typeof literal !== "bigint")
        return { base, path, computed: key };
      path.push(String(literal));
    }
    base = base.args[0];
  }
  return { base, path: path.toReversed(), computed: null };
}

type Found = Pick<Reference, "kind" | "name" | "output">;

const kinds = {
  parameters: "parameter",
  environment: "environment",
  groups: "group",
  requires: "requires",
  secrets: "secret",
  certificates: "certificate",
  entrypoints: "entrypoint",
} as const satisfies Record<Root, ReferenceKind>;

function referenceOf(root: Root, path: readonly string[]): Found | string {
  const [name, member, output] = path;
  const kind = kinds[root];
  if (name === undefined)
    return `${root} stands for nothing by itself: name one, as in ${root}.${example(root)}`;
  if (root === "groups" || root === "requires") {
    if (member !== "outputs")
      return `${root}.${name} has only outputs: write ${root}.${name}.outputs.<output>`;
    return output === undefined ? { kind, name } : { kind, name, output };
  }
  if (root === "environment" && !["id", "name", "tags"].includes(name)) {
    return `environment has no ${name}: it has id, name and tags`;
  }
  if (root === "entrypoints" && member !== "url") {
    return `an entrypoint has only its url: write entrypoints.${name}.url`;
  }
  return member === undefined || root === "parameters" || root === "environment"
    ? { kind, name }
    : { kind, name, output: member };
}

function example(root: Root): string {
  if (root === "environment") return "name";
  if (root === "groups" || root === "requires") return "<name>.outputs.<output>";
  return root === "entrypoints" ? "<name>.url" : "<name>";
}

function unknownName(name: string): string {
  const near = nearest(name, roots);
  const hint = near === null ? "" : `; did you mean ${near}?`;
  return `unknown name ${name}: expressions may use ${roots.join(", ")} (text is written in quotes)${hint}`;
}

function refuseFunction(walk: Walk, node: ASTNode, name: string): void {
  const known = [...callableFunctions, ...callableMethods, ...loopMethods];
  const why = name === "matches" ? " (its cost has no bound)" : "";
  refuse(
    walk,
    node,
    `${name}() is not available in expressions${why}; these are: ${[...new Set(known)].join(", ")}`,
  );
}

function refuse(walk: Walk, node: ASTNode, message: string): void {
  walk.mistakes.push({ message, start: node.start, end: node.end });
}
