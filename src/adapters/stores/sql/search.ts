import { GlasshouseError } from "../../../domain/errors.ts";
import { isId } from "../../../domain/id.ts";
import type { SearchKey, SearchNode } from "../../../domain/search-query.ts";
import { folded } from "../../../domain/search-words.ts";
import type { Page, PageRequest } from "../../../ports/page.ts";
import type { SearchRepository } from "../../../ports/search.ts";
import { cursorAt, pageOf, readCursor } from "./paging.ts";
import { loadFound, type FoundRow } from "./search-load.ts";
import { candidatesAtOnce, searchStatement, type SearchAsked } from "./search-statement.ts";
import { atMost, statement } from "./session.ts";
import type { Session } from "./session.ts";

/** Names of environments that one `environment:` may stand for. */
const mostEnvironments = 100;

export function searches(session: Session): SearchRepository {
  return {
    async find(query, kinds, page) {
      const resolved = await resolveEnvironments(session, query);
      const found = await findDocuments(session, { query: resolved, kinds }, page);
      return { items: await loadFound(session, found.items), next: found.next };
    },
  };
}

async function findDocuments(
  session: Session,
  asked: Pick<SearchAsked, "query" | "kinds">,
  page: PageRequest,
): Promise<Page<FoundRow>> {
  const limit = page.limit + 1;
  const { documents, candidates } = searchStatement(session.dialect.fullText, {
    ...asked,
    before: readCursor(page),
    limit,
  });
  const rows = await atMost(session, { kept: documents.kept, limit }, ...documents.cells);
  const found = pageOf(rows, page.limit, { item: (row) => row, place: (row) => row.number });
  if (found.next !== null || candidates === null) return found;
  const looked = await session.one(candidates.kept, ...candidates.cells);
  const isAll = looked === undefined || looked.last === null || looked.count < candidatesAtOnce;
  return isAll ? found : { items: found.items, next: cursorAt(looked.last) };
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
