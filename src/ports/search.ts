import type { Environment } from "../domain/environment.ts";
import type { ObservedResource, Resource } from "../domain/resource.ts";
import {
  environmentDocument,
  observedDocument,
  resourceDocument,
  templateDocument,
  type FoundKind,
  type SearchDocument,
} from "../domain/search-document.ts";
import type { SearchNode } from "../domain/search-query.ts";
import type { Page, PageRequest } from "./page.ts";
import type { GroupPlace, TemplateSummary } from "./repositories.ts";

/**
 * The index follows the journal: what can be found is found once its event is committed (domain/search-subject says which), and is
 * gone with it. Destroyed and prospective environments are not indexed. Every store finds the same: what counts as a word is said in
 * domain/search-words.
 */
export interface SearchRepository {
  /**
   * Things that fit the query, those that came last first. Among all kinds when none is named. A page looks at so many
   * candidates at most: it may have fewer items than its limit, or none, and a `next` all the same. Errors:
   * `invalid-request` for an `environment:` that is the beginning of too many names.
   */
  find(
    query: SearchNode,
    kinds: readonly FoundKind[],
    page: PageRequest,
  ): Promise<Page<FoundThing>>;
}

export type FoundThing =
  | { readonly kind: "environment"; readonly environment: Environment }
  | {
      readonly kind: "resource";
      readonly resource: Resource;
      readonly environmentName: string;
    }
  | {
      readonly kind: "observed";
      readonly observed: ObservedResource & GroupPlace & { readonly observedAt: string };
      readonly environmentName: string;
    }
  | { readonly kind: "template"; readonly template: TemplateSummary };

/** What of a thing is searched: what a store indexes, and what a query is compared with. */
export function documentOf(thing: FoundThing): SearchDocument {
  switch (thing.kind) {
    case "environment":
      return environmentDocument(thing.environment);
    case "resource":
      return resourceDocument(thing.resource);
    case "observed":
      return observedDocument(thing.observed);
    case "template":
      return templateDocument(thing.template);
  }
}
