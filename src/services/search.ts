import type { EnvironmentStatus } from "../domain/environment.ts";
import { GlasshouseError } from "../domain/errors.ts";
import { searchMatches, type SearchMatch } from "../domain/search-excerpt.ts";
import { parseSearch, type SearchNode } from "../domain/search-query.ts";
import type { Page, PageRequest } from "../ports/page.ts";
import { documentOf, type FoundThing } from "../ports/search.ts";
import type { Reads } from "./deps.ts";

export interface SearchHit {
  readonly thing: FoundThing;
  /** Where words of the query stand in it; empty when it was found by fields alone. */
  readonly matches: readonly SearchMatch[];
}

/**
 * Whatever fits the query, those that came last first. A page may have fewer items than its limit and a `next` all the same.
 * Errors: `invalid-request` for a query that is not understood.
 */
export async function search(
  deps: Reads,
  text: string,
  page: PageRequest,
): Promise<Page<SearchHit>> {
  const query = parseSearch(text);
  const { items, next } = await deps.store.search((tx) => tx.searches.find(query, [], page));
  return {
    items: items.map((thing) => ({ thing, matches: searchMatches(documentOf(thing), query) })),
    next,
  };
}

/** The query of a list of environments, with its other filters. Errors: `invalid-request`. */
export function environmentQuery(filter: {
  readonly query: string;
  readonly status?: EnvironmentStatus;
  readonly includeDestroyed?: boolean;
}): SearchNode {
  const { query, status, includeDestroyed } = filter;
  if (status === "destroyed" || includeDestroyed === true)
    throw new GlasshouseError(
      "invalid-request",
      "Destroyed environments are not searched: ask for them without a query.",
    );
  const parsed = parseSearch(query);
  return status === undefined ? parsed : { kind: "all", of: [parsed, { kind: "status", status }] };
}
