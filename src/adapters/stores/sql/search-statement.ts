import type { FoundKind } from "../../../domain/search-document.ts";
import type { SearchKey, SearchNode } from "../../../domain/search-query.ts";
import { conditionOf, type Condition } from "./search-condition.ts";
import type { FoundRow } from "./search-load.ts";
import { isTextNode, type TextNode } from "./search-text.ts";
import { statement } from "./session.ts";
import type { Cell, FullText, Statement } from "./session.ts";

/** Things that a page looks at, at most, when the index of words alone cannot say whether they fit. */
export const candidatesAtOnce = 1_024;

export interface SearchAsked {
  readonly query: SearchNode;
  /** All when none is named. */
  readonly kinds: readonly FoundKind[];
  /** Number of the document after which the page begins; null for the first. */
  readonly before: number | null;
  /** Rows that are wanted. */
  readonly limit: number;
}

export interface SearchStatement {
  /** Documents that fit, the newest first. May give more rows than are wanted. */
  readonly documents: Bound<FoundRow>;
  /** How many candidates were looked at, and the oldest of them. Null: whoever is a candidate fits. */
  readonly candidates: Bound<{ readonly count: number; readonly last: number | null }> | null;
}

export interface Bound<R> {
  readonly kept: Statement<R>;
  readonly cells: readonly Cell[];
}

/**
 * In two steps: the index of words gives numbers, the newest first and only so many; those rows are looked up and asked the
 * rest. So neither a common word nor a rare condition makes it go through all there is.
 */
export function searchStatement(fullText: FullText, asked: SearchAsked): SearchStatement {
  const { before, limit } = asked;
  const { pattern, conditions } = partsOf(fullText, asked);
  const most = conditions.length > 0 ? candidatesAtOnce : 2 ** Math.ceil(Math.log2(limit));
  const { sql: numbers, cells } = fullText.newest({ pattern, before, most });
  const where = conditions.map(({ sql }, at) => `${at === 0 ? "where" : "and"} ${sql}`).join(" ");
  return {
    documents: {
      kept: statement(
        `select d."number", d."kind", d."subjectId", d."resourceId", d."environmentId", d."template", d."group", d."address",
           o."type", o."externalId", o."attributes", o."observedAt", e."name" as "environmentName"
         from (${numbers}) c join "document" d on d."number" = c."number"
         left join "observed" o on o."environmentId" = d."environmentId" and o."template" = d."template"
           and o."group" = d."group" and o."address" = d."address"
         left join "environment" e on e."id" = d."environmentId" ${where} order by d."number" desc`,
      ),
      cells: [...cells, ...conditions.flatMap((condition) => condition.cells)],
    },
    candidates:
      conditions.length === 0
        ? null
        : {
            kept: statement(
              `select count(*) as "count", min(c."number") as "last" from (${numbers}) c`,
            ),
            cells,
          },
  };
}

/** What the index of words is asked for, and what is to be asked of each thing that it gives. */
function partsOf(
  fullText: FullText,
  { query, kinds }: SearchAsked,
): { readonly pattern: string; readonly conditions: readonly Condition[] } {
  const parts = query.kind === "all" ? query.of : [query];
  const text: TextNode[] = parts.filter((part) => isTextNode(part));
  const ofKind = kinds.map((kind): SearchKey => ({
    kind: "key",
    field: "kind",
    value: kind,
    prefix: false,
  }));
  if (ofKind.length > 0) text.push({ kind: "any", of: ofKind });
  return {
    pattern: fullText.pattern({ kind: "all", of: text }),
    conditions: parts
      .filter((part) => !isTextNode(part))
      .map((part) => conditionOf(part, fullText)),
  };
}
