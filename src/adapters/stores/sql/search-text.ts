import type { SearchKey, SearchNode, SearchWords } from "../../../domain/search-query.ts";
import { anyThing } from "../../../domain/search-words.ts";

/** A part of a query that the index of words answers by itself. */
export type TextNode =
  | { readonly kind: "all" | "any"; readonly of: readonly TextNode[] }
  | { readonly kind: "not"; readonly of: TextNode }
  | SearchWords
  | SearchKey;

export function isTextNode(node: SearchNode): node is TextNode {
  switch (node.kind) {
    case "all":
    case "any":
      return node.of.every((each) => isTextNode(each));
    case "not":
      return isTextNode(node.of);
    case "words":
    case "key":
      return true;
    case "status":
      return false;
  }
}

/** How an engine writes a query of words. */
export interface Notation {
  words(node: SearchWords): string;
  key(node: SearchKey): string;
  /** One word that is indexed as it is. */
  plain(word: string): string;
  readonly and: string;
  readonly or: string;
  /** Puts "this, but not that" together. */
  without(left: string, right: string): string;
}

/** The whole query as a text. What is only excluded is excluded from all there is. */
export function patternOf(node: TextNode, notation: Notation): string {
  switch (node.kind) {
    case "words":
      return notation.words(node);
    case "key":
      return notation.key(node);
    case "any":
      return joined(
        node.of.map((each) => patternOf(each, notation)),
        notation.or,
      );
    case "not":
      return notation.without(notation.plain(anyThing), patternOf(node.of, notation));
    case "all":
      return allOf(node.of, notation);
  }
}

function allOf(of: readonly TextNode[], notation: Notation): string {
  const wanted = of.filter((each) => each.kind !== "not");
  const unwanted = of.flatMap((each) => (each.kind === "not" ? [each.of] : []));
  const left =
    wanted.length === 0
      ? notation.plain(anyThing)
      : joined(
          wanted.map((each) => patternOf(each, notation)),
          notation.and,
        );
  if (unwanted.length === 0) return left;
  const right = unwanted.map((each) => patternOf(each, notation));
  return notation.without(left, joined(right, notation.or));
}

function joined(parts: readonly string[], between: string): string {
  return parts.length === 1 ? (parts[0] ?? "") : `(${parts.join(between)})`;
}
