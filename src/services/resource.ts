import { GlasshouseError } from "../domain/errors.ts";
import { checkStatesOf, resourceHealth, type CheckStates, type Health } from "../domain/health.ts";
import type { Resource } from "../domain/resource.ts";
import { parseSearch, type SearchNode } from "../domain/search-query.ts";
import type { Page, PageRequest } from "../ports/page.ts";
import type { ReadTx, SearchTx } from "../ports/store.ts";
import type { Reads } from "./deps.ts";

export interface ResourceRead {
  readonly resource: Resource;
  readonly environmentName: string;
  /** Null without checks. */
  readonly health: Health | null;
}

/**
 * Across environments, by id. With a query those that fit it, the newest first. Errors: `invalid-request` for a query that is
 * not understood.
 */
export async function listResources(
  deps: Reads,
  page: PageRequest,
  query?: string,
): Promise<Page<ResourceRead>> {
  if (query === undefined)
    return deps.store.read(async (tx) => withHealth(tx, await tx.resources.list(page)));
  const parsed = parseSearch(query);
  return deps.store.search(async (tx) => withHealth(tx, await findResources(tx, parsed, page)));
}

async function withHealth(
  tx: ReadTx,
  { items, next }: Page<Resource>,
): Promise<Page<ResourceRead>> {
  const known = new Map<string, Awaited<ReturnType<typeof aboutEnvironment>>>();
  const reads: ResourceRead[] = [];
  for (const resource of items) {
    const { environmentId } = resource;
    const environment = known.get(environmentId) ?? (await aboutEnvironment(tx, environmentId));
    known.set(environmentId, environment);
    const { environmentName, states } = environment;
    reads.push({ resource, environmentName, health: resourceHealth(resource, states) });
  }
  return { items: reads, next };
}

async function findResources(
  tx: SearchTx,
  query: SearchNode,
  page: PageRequest,
): Promise<Page<Resource>> {
  const { items, next } = await tx.searches.find(query, ["resource"], page);
  return { items: items.flatMap((one) => (one.kind === "resource" ? [one.resource] : [])), next };
}

/** Errors: `not-found`. */
export async function getResource(deps: Reads, id: string): Promise<ResourceRead> {
  return deps.store.read(async (tx) => {
    const resource = await tx.resources.get(id);
    if (resource === null) {
      throw new GlasshouseError(
        "not-found",
        `There is no resource ${id}: check the id; \`glasshouse resource list\` shows those that exist.`,
      );
    }
    const { environmentName, states } = await aboutEnvironment(tx, resource.environmentId);
    return { resource, environmentName, health: resourceHealth(resource, states) };
  });
}

interface StatesRead {
  readonly states: CheckStates;
}

async function aboutEnvironment(
  tx: ReadTx,
  id: string,
): Promise<Pick<ResourceRead, "environmentName"> & StatesRead> {
  const environment = await tx.environments.get(id);
  const states = checkStatesOf(await tx.checks.list(id));
  return { environmentName: environment?.name ?? id, states };
}
