import { GlasshouseError } from "../../../domain/errors.ts";
import { isId } from "../../../domain/id.ts";
import type { FoundKind } from "../../../domain/search-document.ts";
import type { SearchKey, SearchNode } from "../../../domain/search-query.ts";
import { folded } from "../../../domain/search-words.ts";
import type { Page, PageRequest } from "../../../ports/page.ts";
import type { SearchRepository } from "../../../ports/search.ts";
import { cursorAt, pageOf, readCursor } from "./paging.ts";
import { loadFound, type DocumentRow } from "./search-load.ts";
import { conditionOf, type Condition } from "./search-condition.ts";
import { isTextNode, type TextNode } from "./search-text.ts";
import { atMost, statement } from "./session.ts";
import type { Cell, Session, Statement } from "./session.ts";

/** Things that a page looks at, at most, when the index of words alone cannot say whether they fit. */
export const candidatesAtOnce = 4_096;

/** Names of environments that one `environment:` may stand for. */
const mostEnvironments = 100;

export function searches(session: Session): SearchRepository {
  return {
    async find(query, kinds, page) {
      const resolved = await resolveEnvironments(session, query);
      const found = await findDocuments(session, asked(session, resolved, kinds), page);
      return { items: await loadFound(session, found.items), next: found.next };
    },
  };
}

/** What the index of words is asked for, and what is to be asked of each thing that it gives. */
interface Asked {
  readonly pattern: string;
  readonly conditions: readonly Condition[];
}

function asked(session: Session, query: SearchNode, kinds: readonly FoundKind[]): Asked {
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
    pattern: session.dialect.fullText.pattern({ kind: "all", of: text }),
    conditions: parts
      .filter((part) => !isTextNode(part))
      .map((part) => conditionOf(part, session.dialect.fullText)),
  };
}

/**
 * In two steps: the index of words gives numbers, the newest first and only so many; those rows are looked up and asked the
 * rest. So neither a common word nor a rare condition makes it go through all there is.
 */
async function findDocuments(
  session: Session,
  { pattern, conditions }: Asked,
  page: PageRequest,
): Promise<Page<DocumentRow>> {
  const { source } = session.dialect.fullText;
  const before = readCursor(page);
  const numbers = `select ${source.number} as "number" from ${source.table} where ${source.matches}
    ${before === null ? "" : `and ${source.number} < ?`} order by ${source.number} desc`;
  const cells: readonly Cell[] = before === null ? [pattern] : [pattern, before];
  const most = conditions.length > 0 ? candidatesAtOnce : 2 ** Math.ceil(Math.log2(page.limit + 1));
  const candidates = `${numbers} limit ${most}`;
  const kept: Statement<DocumentRow> = statement(
    `select d."number", d."kind", d."subjectId", d."resourceId", d."environmentId", d."template", d."group", d."address"
     from (${candidates}) c join "document" d on d."number" = c."number"
     ${conditions.map(({ sql }, at) => `${at === 0 ? "where" : "and"} ${sql}`).join(" ")}
     order by d."number" desc`,
  );
  const asks = [...cells, ...conditions.flatMap((condition) => condition.cells)];
  const rows = await atMost(session, { kept, limit: page.limit + 1 }, ...asks);
  const found = pageOf(rows, page.limit, { item: (row) => row, place: (row) => row.number });
  if (found.next !== null || conditions.length === 0) return found;
  const last = await lastCandidate(session, { candidates, cells, most });
  return last === null ? found : { items: found.items, next: cursorAt(last) };
}

/** Where the candidates of the page end, when there may be others after them. */
async function lastCandidate(
  session: Session,
  of: { readonly candidates: string; readonly cells: readonly Cell[]; readonly most: number },
): Promise<number | null> {
  const kept: Statement<{ readonly count: number; readonly last: number | null }> = statement(
    `select count(*) as "count", min(c."number") as "last" from (${of.candidates}) c`,
  );
  const row = await session.one(kept, ...of.cells);
  return row !== undefined && row.count >= of.most ? row.last : null;
}

const byName = statement<{ readonly id: string }>(
  `select "id" from "environment" where "name" = ? and "status" <> 'destroyed' and not "prospective"`,
);
const byNames = statement<{ readonly id: string }>(
  `select "id" from "environment" where "name" >= ? and "name" < ? and "status" <> 'destroyed' and not "prospective"
   order by "name" limit ${mostEnvironments + 1}`,
);

/** Names of environments become their ids: those are what is indexed. */
async function resolveEnvironments(session: Session, node: SearchNode): Promise<SearchNode> {
  switch (node.kind) {
    case "all":
    case "any": {
      const of: SearchNode[] = [];
      for (const each of node.of) of.push(await resolveEnvironments(session, each));
      return { kind: node.kind, of };
    }
    case "not":
      return { kind: "not", of: await resolveEnvironments(session, node.of) };
    case "key":
      return node.field === "environment" ? resolveEnvironment(session, node) : node;
    case "words":
    case "status":
      return node;
  }
}

async function resolveEnvironment(session: Session, node: SearchKey): Promise<SearchNode> {
  const { value, prefix } = node;
  if (!prefix && isId("environment", value)) return node;
  const name = folded(value);
  const rows = prefix
    ? await session.all(byNames, name, `${name}\u{10ffff}`)
    : await session.all(byName, name);
  if (rows.length > mostEnvironments)
    throw new GlasshouseError(
      "invalid-request",
      `environment:${value}* is the beginning of more than ${mostEnvironments} names; write more of the name.`,
    );
  const keys = rows.map(({ id }): SearchKey => ({ ...node, value: id, prefix: false }));
  // No environment has an empty id: none is found.
  return keys.length === 0 ? { ...node, value: "", prefix: false } : { kind: "any", of: keys };
}
