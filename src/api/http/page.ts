import type { Page, PageRequest } from "../../ports/page.ts";

/** The page that a list's query asks for. */
export function pageRequest(query: {
  readonly limit: number;
  readonly cursor?: string | undefined;
}): PageRequest {
  return { limit: query.limit, cursor: query.cursor ?? null };
}

/** The page in the form of replies. */
export function pageOf<T, V>(
  page: Page<T>,
  view: (item: T) => V,
): { readonly items: readonly V[]; readonly next: string | null } {
  return { items: page.items.map((item) => view(item)), next: page.next };
}

/** A list that is always whole. */
export function wholeList<T, V>(
  items: readonly T[],
  view: (item: T) => V,
): { readonly items: readonly V[]; readonly next: null } {
  return { items: items.map((item) => view(item)), next: null };
}
