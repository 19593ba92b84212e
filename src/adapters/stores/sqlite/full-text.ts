import { keyWord } from "../../../domain/search-words.ts";
import { putStatements } from "../sql/document.ts";
import { patternOf, type Notation } from "../sql/search-text.ts";
import type { FullText } from "../sql/session.ts";

/** Words hold no quotes: they are letters and digits. */
const notation: Notation = {
  words: ({ words, prefix, inName }) =>
    `${inName ? "name : " : ""}"${words.join(" ")}"${prefix ? " *" : ""}`,
  key: ({ field, value, prefix }) => `"${keyWord(field, value)}"${prefix ? " *" : ""}`,
  plain: (word) => `"${word}"`,
  and: " AND ",
  or: " OR ",
  without: (left, right) => `(${left} NOT ${right})`,
};

/** FTS5, on words that come split. */
export const fts5: FullText = {
  put: putStatements({ name: "?", words: "?" }),
  cells: ({ name, text }) => [name.join(" "), text.join(" ")],
  newest: ({ pattern, before, most }) => ({
    sql: `select "rowid" as "number" from "documentText" where "documentText" match ?
      ${before === null ? "" : `and "rowid" < ?`} order by "rowid" desc limit ${most}`,
    cells: before === null ? [pattern] : [pattern, before],
  }),
  contains: `d."number" in (select "rowid" from "documentText" where "documentText" match ?)`,
  pattern: (node) => patternOf(node, notation),
};
