import { z } from "zod";
import { commandData } from "./command-data.ts";
import { acceptedReply } from "./rest-command.ts";
import {
  apiRoot,
  commandHeaders,
  flag,
  pageQuery,
  readHeaders,
  searchablePageQuery,
  segment,
  type Route,
} from "./rest-route.ts";
import {
  durationText,
  graphView,
  jsonValue,
  listOf,
  runsOnView,
  tagsView,
  templateId,
  time,
} from "./schemas.ts";

export const templateSummaryView = z
  .object({
    id: templateId,
    name: z.string(),
    version: z.string(),
    status: z.enum(["draft", "active", "deprecated"]),
    description: z.string(),
    tags: tagsView,
    source: z.object({
      kind: z.enum(["upload", "git"]),
      repository: z.string().optional(),
      ref: z.string().optional(),
      commit: z.string().optional(),
      path: z.string().optional(),
    }),
    digest: z.string().meta({ description: "SHA-256 of its files" }),
    createdAt: time,
  })
  .meta({ id: "TemplateSummary", description: "A version of a template without its content" });

export const parameterView = z
  .object({
    type: z.enum(["string", "integer", "number", "boolean", "list", "map"]),
    description: z.string(),
    required: z.boolean(),
    secret: z.boolean(),
    immutable: z.boolean(),
    default: jsonValue.optional(),
  })
  .meta({ id: "Parameter", description: "Its other rules are in `parametersSchema`" });

export const templateView = templateSummaryView
  .extend({
    parameters: z.record(z.string(), parameterView),
    parametersSchema: z
      .record(z.string(), jsonValue)
      .meta({ description: "JSON Schema of `parameters` at create" }),
    requires: z.record(
      z.string(),
      z.object({
        kind: z.enum(["environment", "external"]),
        environment: z.string().optional(),
        outputs: z.array(z.string()).optional(),
        description: z.string(),
      }),
    ),
    groups: z.record(
      z.string(),
      z.object({
        description: z.string(),
        tags: tagsView,
        executor: z.string(),
        with: jsonValue,
        upstreams: z.array(z.string()).meta({ description: "Groups it waits for" }),
        outputs: z.array(z.string()),
        resources: z.record(
          z.string(),
          z.object({
            name: z.string(),
            description: z.string(),
            count: jsonValue,
            dependsOn: z.array(z.string()),
          }),
        ),
        timeout: durationText,
        onFailure: z.enum(["stop", "abort"]),
        runsOn: runsOnView,
      }),
    ),
    graph: graphView,
    outputs: z.record(z.string(), jsonValue),
    entrypoints: z.record(z.string(), z.object({ url: jsonValue, description: z.string() })),
    checks: z.record(
      z.string(),
      z.object({
        description: z.string(),
        probe: jsonValue,
        interval: durationText,
        within: durationText,
      }),
    ),
    actions: z.record(
      z.string(),
      z.object({
        description: z.string(),
        name: z.string(),
        command: z.array(jsonValue),
        timeout: durationText,
        runsOn: runsOnView,
      }),
    ),
    lifetime: z.object({ default: durationText.optional(), maximum: durationText.optional() }),
    compatibility: z
      .object({
        against: z.string().meta({ description: "The version that it is compared with" }),
        breaking: z.array(z.string()),
        notes: z.array(z.string()),
      })
      .nullable()
      .optional()
      .meta({ description: "What changes against the version before; null for the first" }),
    files: z.array(
      z.object({
        path: z.string(),
        size: z.int(),
        mode: z.string().meta({ description: "Octal", examples: ["755"] }),
        digest: z.string(),
      }),
    ),
  })
  .meta({ id: "Template", description: "A version of a template with its content" });

export const registerTemplateBody = commandData["template.register"].meta({
  id: "RegisterTemplate",
});

export const registerQuery = z.strictObject({
  draft: flag.meta({ description: "For an archive: as the body's `draft`" }),
});

const root = `${apiRoot}/templates`;
const templateParams = z.object({
  template: segment("Name of the template, or an id of one version"),
});

export const templateRoutes = [
  {
    id: "listTemplates",
    method: "GET",
    path: root,
    tag: "templates",
    summary: "List all versions of all templates",
    query: searchablePageQuery,
    headers: readHeaders,
    replies: { 200: { description: "A page", schema: listOf(templateSummaryView) } },
  },
  {
    id: "registerTemplate",
    method: "POST",
    path: root,
    tag: "templates",
    summary: "Register a version from a git repository or an archive (tar.gz)",
    description: "An archive goes up as `application/gzip`, at most 16 MiB.",
    headers: commandHeaders,
    query: registerQuery,
    body: { schema: registerTemplateBody, archive: true },
    replies: { 202: acceptedReply },
    errors: ["invalid-template", "already-exists", "unsafe-path", "unsafe-source", "too-large"],
  },
  {
    id: "listTemplateVersions",
    method: "GET",
    path: `${root}/{template}`,
    tag: "templates",
    summary: "List the versions of a template",
    params: templateParams,
    query: pageQuery.partial(),
    headers: readHeaders,
    replies: {
      200: { description: "All of them, by registration", schema: listOf(templateSummaryView) },
    },
    errors: ["not-found"],
  },
  {
    id: "getTemplate",
    method: "GET",
    path: `${root}/{template}/{version}`,
    tag: "templates",
    summary: "Read a version of a template",
    params: templateParams.extend({
      version: segment("A version, or `latest`: the highest active release"),
    }),
    headers: readHeaders,
    replies: { 200: { description: "The version", schema: templateView } },
    errors: ["not-found"],
  },
] as const satisfies readonly Route[];
