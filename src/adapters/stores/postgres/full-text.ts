import { separator, type IndexedText } from "../../../domain/search-index.ts";
import { keyWord } from "../../../domain/search-words.ts";
import { putStatements } from "../sql/document.ts";
import { patternOf, type Notation } from "../sql/search-text.ts";
import type { FullText } from "../sql/session.ts";

/** Words hold no quotes: they are letters and digits. */
const notation: Notation = {
  words: ({ words, prefix, inName }) => {
    const parts = words.map((word, at) => {
      const marks = `${prefix && at === words.length - 1 ? "*" : ""}${inName ? "A" : ""}`;
      return `'${word}'${marks === "" ? "" : `:${marks}`}`;
    });
    return parts.length === 1 ? (parts[0] ?? "") : `(${parts.join(" <-> ")})`;
  },
  key: ({ field, value, prefix }) => `'${keyWord(field, value)}'${prefix ? ":*" : ""}`,
  plain: (word) => `'${word}'`,
  and: " & ",
  or: " | ",
  without: (left, right) => `(${left} & !${right})`,
};

/** `tsvector`, on words that come split: no configuration of the database has a say. */
export const tsvector: FullText = {
  put: putStatements({ words: "?::tsvector" }),
  cells: (text) => [vectorOf(text)],
  source: { table: `"document"`, number: `"number"`, matches: `"words" @@ ?::tsquery` },
  contains: `d."words" @@ ?::tsquery`,
  pattern: (node) => patternOf(node, notation),
};

/** Each word with its places. Between two texts a place stays empty, so that no phrase goes from one into the next. */
function vectorOf({ name, text }: IndexedText): string {
  const places = new Map<string, string[]>();
  let at = 0;
  for (const [words, weight] of [
    [name, "A"],
    [text, ""],
  ] as const)
    for (const word of words) {
      at += 1;
      if (word === separator) continue;
      const known = places.get(word) ?? [];
      known.push(`${at}${weight}`);
      places.set(word, known);
    }
  return [...places].map(([word, where]) => `'${word}':${where.join(",")}`).join(" ");
}
