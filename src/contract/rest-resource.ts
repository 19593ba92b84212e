import { z } from "zod";
import { apiRoot, readHeaders, searchablePageQuery, segment, type Route } from "./rest-route.ts";
import {
  environmentId,
  graphView,
  checkedHealthView,
  jsonValue,
  listOf,
  resourceId,
  tagsView,
  templateId,
  time,
} from "./schemas.ts";

export const resourceView = z
  .object({
    id: resourceId,
    environment: environmentId,
    environmentName: z.string(),
    template: z.string(),
    templateId,
    group: z.string(),
    key: z.string(),
    name: z.string(),
    description: z.string(),
    tags: tagsView,
    count: z.int(),
    status: z.enum(["pending", "present", "failed", "drifted", "removed"]),
    links: z.record(z.string(), z.string()),
    checks: z.array(z.string()).meta({ description: "Keys of its status endpoints" }),
    health: checkedHealthView.nullable().meta({ description: "What these say; null without any" }),
    dependsOn: z.array(z.string()).meta({ description: "Other resources, as group.resource" }),
    external: z.array(z.string()).meta({ description: "External resources, by name" }),
    createdAt: time,
    updatedAt: time,
  })
  .meta({ id: "Resource", description: "A thing in an environment" });

export const observedView = z
  .object({
    template: z.string(),
    group: z.string(),
    address: z.string(),
    type: z.string(),
    externalId: z.string().nullable(),
    attributes: z.record(z.string(), jsonValue),
    observedAt: time,
  })
  .meta({ id: "ObservedResource", description: "What an executor found in the real world" });

export const resourceRoutes = [
  {
    id: "listResources",
    method: "GET",
    path: `${apiRoot}/resources`,
    tag: "resources",
    summary: "List resources of all environments",
    query: searchablePageQuery,
    headers: readHeaders,
    replies: { 200: { description: "A page", schema: listOf(resourceView) } },
  },
  {
    id: "getResource",
    method: "GET",
    path: `${apiRoot}/resources/{resource}`,
    tag: "resources",
    summary: "Read a resource",
    params: z.object({ resource: segment("Id of the resource") }),
    headers: readHeaders,
    replies: { 200: { description: "The resource", schema: resourceView } },
    errors: ["not-found"],
  },
  {
    id: "getResourceDependencies",
    method: "GET",
    path: `${apiRoot}/resources/{resource}/dependencies`,
    tag: "later",
    summary: "What it depends on, or what depends on it",
    params: z.object({ resource: segment("Id of the resource") }),
    query: z.object({
      direction: z.enum(["up", "down"]).optional(),
      depth: z.coerce.number().int().min(1).optional(),
    }),
    replies: { 200: { description: "Later", schema: graphView } },
    notAvailable: true,
  },
] as const satisfies readonly Route[];
