import { z } from "zod";
import { apiRoot, pageQuery, readHeaders, searchQuery, type Route } from "./rest-route.ts";
import { environmentId, listOf } from "./schemas.ts";

export const searchHitView = z
  .object({
    kind: z.enum(["environment", "resource", "observed", "template"]),
    id: z.string().nullable().meta({ description: "Null of what was observed" }),
    name: z.string().meta({ description: "Of what was observed, its address" }),
    environment: environmentId.nullable().meta({ description: "Null of templates" }),
    environmentName: z.string().nullable(),
    template: z.string().nullable().meta({ description: "Its name" }),
    group: z.string().nullable(),
    type: z.string().nullable().meta({ description: "Of what was observed" }),
    status: z.string().nullable().meta({ description: "Null of what was observed" }),
    matches: z
      .array(
        z.object({
          field: z.string().meta({ examples: ["name", "tags.team", "attributes.ami"] }),
          excerpt: z.string(),
        }),
      )
      .meta({ description: "Where words of the query stand; three at most" }),
    url: z.string().meta({
      description: "Where it is read; of what was observed, the list that it is in",
      examples: ["/api/v1/environments/env_01kdmnp3x0c2vq8t5w7y9z0a1b"],
    }),
  })
  .meta({ id: "SearchHit", description: "Something that fits a query" });

export const searchRoutes = [
  {
    id: "search",
    method: "GET",
    path: `${apiRoot}/search`,
    tag: "search",
    summary: "Environments, resources, what was observed, and templates in one list",
    description:
      "Those that came last first. A page may have fewer items than `limit` and a `next` all the same.",
    query: pageQuery.extend({ q: searchQuery }),
    headers: readHeaders,
    replies: { 200: { description: "A page", schema: listOf(searchHitView) } },
  },
] as const satisfies readonly Route[];
