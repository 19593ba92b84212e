import { apiRoot } from "../../contract/rest-route.ts";
import type { SearchHitView } from "../../contract/rest.ts";
import type { FoundThing } from "../../ports/search.ts";
import type { SearchHit } from "../../services/search.ts";
import type { Api, Handlers } from "./api.ts";
import { pageOf, pageRequest } from "./page.ts";

export function searchHandlers(api: Api): Pick<Handlers, "search"> {
  return {
    search: async ({ query }) =>
      pageOf(await api.services.search(query.q, pageRequest(query)), hitOf),
  };
}

function hitOf({ thing, matches }: SearchHit): SearchHitView {
  return { ...aboutThing(thing), matches };
}

function aboutThing(thing: FoundThing): Omit<SearchHitView, "matches"> {
  switch (thing.kind) {
    case "environment": {
      const { id, name, status, desired } = thing.environment;
      const template = desired.templates[0]?.name ?? null;
      const url = `${apiRoot}/environments/${id}`;
      const own = { environment: id, environmentName: name, template, group: null, type: null };
      return { kind: thing.kind, id, name, ...own, status, url };
    }
    case "resource": {
      const { id, name, environmentId, template, group, status } = thing.resource;
      const { environmentName } = thing;
      const where = { environment: environmentId, environmentName, template, group, type: null };
      return { kind: thing.kind, id, name, ...where, status, url: `${apiRoot}/resources/${id}` };
    }
    case "observed": {
      const { address, environmentId, template, group, type } = thing.observed;
      const { environmentName } = thing;
      const where = { environment: environmentId, environmentName, template, group, type };
      const url = `${apiRoot}/environments/${environmentId}/resources`;
      return { kind: thing.kind, id: null, name: address, ...where, status: null, url };
    }
    case "template": {
      const { id, name, version, status } = thing.template;
      const url = `${apiRoot}/templates/${encodeURIComponent(name)}/${encodeURIComponent(version)}`;
      const where = { environment: null, environmentName: null, template: name };
      return {
        kind: thing.kind,
        id,
        name: `${name}@${version}`,
        ...where,
        group: null,
        type: null,
        status,
        url,
      };
    }
  }
}
