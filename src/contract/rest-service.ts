import { z } from "zod";
import { apiRoot, mediaTypes, readHeaders, segment, type Route } from "./rest-route.ts";
import { jsonValue } from "./schemas.ts";

export const livenessView = z.object({ status: z.literal("ok") }).meta({ id: "Liveness" });

export const readinessView = z
  .object({
    status: z.enum(["ready", "starting", "stopping", "down"]),
    detail: z.string(),
  })
  .meta({ id: "Readiness" });

const breakerView = z
  .object({
    state: z.enum(["closed", "open", "half-open"]).meta({
      description:
        "`closed` is well; `open` sends nothing; `half-open` lets one call through to see",
    }),
    since: z.iso.datetime().nullable().meta({ description: "Null when it was never otherwise" }),
    lastError: z.string().nullable(),
    lastErrorAt: z.iso.datetime().nullable(),
    retryAt: z.iso.datetime().nullable().meta({ description: "When a call is let through again" }),
  })
  .meta({ id: "Breaker" });

export const healthView = z
  .object({
    status: z.enum(["ok", "degraded", "down"]),
    live: z.boolean(),
    ready: z.boolean(),
    dependencies: z.array(
      z.object({
        name: z.string(),
        status: z.string().meta({ examples: ["up", "read-only", "down"] }),
        detail: z.string(),
        latencyMs: z.number().nullable(),
        advice: z.string().nullable(),
        breaker: breakerView.nullable().meta({
          description:
            "How calls to it are let through; null for what is not called over a network",
        }),
      }),
    ),
  })
  .meta({ id: "Health" });

export const versionView = z
  .object({
    name: z.literal("glasshouse"),
    version: z.string(),
    api: z.literal("v1"),
    commit: z.string().nullable(),
  })
  .meta({ id: "Version" });

export const infoView = z
  .object({
    version: z.string(),
    roles: z.array(z.string()).meta({ examples: [["api", "worker"]] }),
    store: z.string().meta({ examples: ["sqlite"] }),
    bus: z.string().meta({ examples: ["embedded"] }),
    executors: z.array(z.string()),
    epoch: z.int().meta({ description: "Number of the primary's reign" }),
    position: z.int().meta({ description: "Newest position of the journal" }),
    oldestPosition: z.int().meta({ description: "Cursors before it have a gap" }),
    startedAt: z.iso.datetime(),
    listen: z.string(),
  })
  .meta({ id: "Info" });

const text = <Id extends string>(id: Id, path: string, more: { summary: string; type: string }) =>
  ({
    id,
    method: "GET",
    path,
    tag: "service",
    summary: more.summary,
    replies: { 200: { description: "The file", schema: z.string(), types: [more.type] } },
  }) as const;

const later = { tag: "later", notAvailable: true } as const;

export const serviceRoutes = [
  {
    id: "getLiveness",
    method: "GET",
    path: "/livez",
    tag: "service",
    summary: "Whether the process lives",
    replies: { 200: { description: "It does", schema: livenessView } },
  },
  {
    id: "getReadiness",
    method: "GET",
    path: "/readyz",
    tag: "service",
    summary: "Whether it takes requests",
    replies: {
      200: { description: "It does", schema: readinessView },
      503: { description: "Not now", schema: readinessView },
    },
  },
  {
    id: "getHealthAtRoot",
    method: "GET",
    path: "/health",
    tag: "service",
    summary: "Each dependency with latency and advice",
    replies: {
      200: { description: "It works, perhaps not all of it", schema: healthView },
      503: { description: "It does not work", schema: healthView },
    },
  },
  {
    id: "getHealth",
    method: "GET",
    path: `${apiRoot}/health`,
    tag: "service",
    summary: "Each dependency with latency and advice",
    replies: {
      200: { description: "It works, perhaps not all of it", schema: healthView },
      503: { description: "It does not work", schema: healthView },
    },
  },
  {
    id: "getMetrics",
    method: "GET",
    path: "/metrics",
    tag: "service",
    summary: "Metrics of this process, in Prometheus' text format",
    replies: { 200: { description: "Metrics", schema: z.string(), types: [mediaTypes.text] } },
  },
  {
    id: "getVersion",
    method: "GET",
    path: `${apiRoot}/version`,
    tag: "service",
    summary: "Which version this is",
    replies: { 200: { description: "The version", schema: versionView } },
  },
  {
    id: "getInfo",
    method: "GET",
    path: `${apiRoot}/info`,
    tag: "service",
    summary: "What this server is and has",
    replies: { 200: { description: "Its description of itself", schema: infoView } },
  },
  {
    id: "getSchema",
    method: "GET",
    path: `${apiRoot}/schemas/{file}`,
    tag: "service",
    summary: "A JSON Schema, such as template.json",
    params: z.object({ file: segment("Name of the schema, with .json") }),
    headers: readHeaders,
    replies: {
      200: { description: "The schema", schema: z.record(z.string(), jsonValue) },
    },
    errors: ["not-found"],
  },
  {
    id: "getOpenApi",
    method: "GET",
    path: `${apiRoot}/openapi.json`,
    tag: "service",
    summary: "This description",
    headers: readHeaders,
    replies: { 200: { description: "OpenAPI 3.1", schema: z.record(z.string(), jsonValue) } },
  },
  {
    id: "getAsyncApi",
    method: "GET",
    path: `${apiRoot}/asyncapi.json`,
    tag: "service",
    summary: "The message bus's contract",
    headers: readHeaders,
    replies: { 200: { description: "AsyncAPI 3", schema: z.record(z.string(), jsonValue) } },
  },
  text("getDocs", `${apiRoot}/docs`, {
    summary: "This description as a page",
    type: mediaTypes.html,
  }),
  text("getDocsErrors", `${apiRoot}/docs/errors`, {
    summary: "The table of errors, where a problem's `type` leads",
    type: mediaTypes.html,
  }),
  text("getDocsScript", `${apiRoot}/docs/start.js`, {
    summary: "Starts the page",
    type: mediaTypes.script,
  }),
  text("getDocsLibrary", `${apiRoot}/docs/reference.js`, {
    summary: "Draws the page",
    type: mediaTypes.script,
  }),
  {
    ...later,
    id: "queryGraph",
    method: "POST",
    path: `${apiRoot}/graphql`,
    summary: "GraphQL, read only",
    body: { schema: jsonValue },
    replies: { 200: { description: "Later", schema: jsonValue } },
  },
] as const satisfies readonly Route[];
