import { GlasshouseError } from "../domain/errors.ts";
import type { Resource } from "../domain/resource.ts";
import type { Page, PageRequest } from "../ports/page.ts";
import type { Reads } from "./deps.ts";

export interface ResourceRead {
  readonly resource: Resource;
  readonly environmentName: string;
}

/** Across environments, by id. */
export async function listResources(deps: Reads, page: PageRequest): Promise<Page<ResourceRead>> {
  return deps.store.read(async (tx) => {
    const { items, next } = await tx.resources.list(page);
    const names = new Map<string, string>();
    for (const { environmentId } of items) {
      if (names.has(environmentId)) continue;
      names.set(environmentId, (await tx.environments.get(environmentId))?.name ?? environmentId);
    }
    const reads = items.map((resource) => ({
      resource,
      environmentName: names.get(resource.environmentId) ?? resource.environmentId,
    }));
    return { items: reads, next };
  });
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
    const environment = await tx.environments.get(resource.environmentId);
    return { resource, environmentName: environment?.name ?? resource.environmentId };
  });
}
