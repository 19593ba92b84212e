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
  newest,
  contains: `d."words" @@ ?::tsquery`,
  pattern: (node) => patternOf(node, notation),
};

/** Of the newest documents so many are looked at, or as many times what is wanted, before the index is asked. */
const lookedAt = { least: 512, times: 4 };

/**
 * The index of words has no order, so what a common word gives would all be read and sorted; and to go back through the documents
 * for a rare word would be to read all of those. The planner cannot tell them apart: it knows how often the commonest words
 * are. So the newest documents are looked at first, a few; only when they do not hold as many as are wanted is the index asked, and
 * then what it gives is a small part of all there is, or nearly so.
 */
function newest({
  pattern,
  before,
  most,
}: Parameters<FullText["newest"]>[0]): ReturnType<FullText["newest"]> {
  const earlier = before === null ? "" : `"number" < ?`;
  const window = Math.max(lookedAt.least, lookedAt.times * most);
  const fits = `"words" @@ ?::tsquery`;
  return {
    sql: `with "late" as materialized (
        select "number" from (select "number", "words" from "document" ${earlier === "" ? "" : `where ${earlier}`}
          order by "number" desc limit ${window}) "near" where ${fits} order by "number" desc limit ${most}),
      "any" as materialized (
        select "number" from "document" where ${fits} ${earlier === "" ? "" : `and ${earlier}`}
          and (select count(*) from "late") < ${most})
      select "number" from "late" where (select count(*) from "late") >= ${most}
      union all select "number" from "any" order by "number" desc limit ${most}`,
    cells: before === null ? [pattern, pattern] : [before, pattern, pattern, before],
  };
}

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
