import type { ObservedView, ResourceView } from "../../contract/rest.ts";
import type { Api, Handlers } from "./api.ts";
import { pageOf, pageRequest } from "./page.ts";
import type { EnvironmentResources } from "../../services/environment.ts";
import type { ResourceRead } from "../../services/resource.ts";

export function resourceHandlers(api: Api): Pick<Handlers, "listResources" | "getResource"> {
  return {
    listResources: async ({ query }) =>
      pageOf(await api.services.listResources(pageRequest(query), query.q), resourceOf),
    getResource: async ({ params }) => resourceOf(await api.services.getResource(params.resource)),
  };
}

export function resourceOf({ resource, environmentName, health }: ResourceRead): ResourceView {
  return {
    id: resource.id,
    environment: resource.environmentId,
    environmentName,
    template: resource.template,
    templateId: resource.templateId,
    group: resource.group,
    key: resource.key,
    name: resource.name,
    description: resource.description,
    tags: resource.tags,
    count: resource.count,
    status: resource.status,
    links: resource.links,
    checks: resource.checks,
    health,
    dependsOn: resource.dependsOn,
    external: resource.external,
    createdAt: resource.createdAt,
    updatedAt: resource.updatedAt,
  };
}

export function observedOf(observed: EnvironmentResources["observed"][number]): ObservedView {
  const { template, group, address, type, externalId, attributes, observedAt } = observed;
  return { template, group, address, type, externalId, attributes, observedAt };
}
