import { z } from "zod";
import { resourceView, observedView } from "./rest-resource.ts";
import { planSummaryView } from "./rest-plan.ts";
import { runView } from "./rest-run.ts";
import {
  apiRoot,
  conditionalCommandHeaders,
  commandHeaders,
  emptyBody,
  flag,
  pageQuery,
  readHeaders,
  searchablePageQuery,
  segment,
  type Route,
} from "./rest-route.ts";
import { commandData } from "./command-data.ts";
import { acceptedReply } from "./rest-command.ts";
import {
  changeView,
  environmentId,
  failureView,
  graphView,
  jsonValue,
  listOf,
  runId,
  tagsView,
  templateUse,
  time,
  values,
} from "./schemas.ts";

export const environmentStatus = z.enum([
  "deploying",
  "deployed-validating",
  "deployed-ok",
  "deployed-failed",
  "destroying",
  "destroyed",
]);

export const ownedSecretView = z
  .object({
    name: z.string(),
    template: z.string(),
    version: z.int().meta({ description: "Raised by one with every new value" }),
    keeper: z.string().meta({ description: "What keeps the value", examples: ["embedded"] }),
    createdAt: time,
    rotatedAt: time.meta({ description: "When this version was made" }),
    rotateAt: time.nullable().meta({ description: "When the next one is due by itself" }),
  })
  .meta({ id: "OwnedSecret", description: "A secret that the environment owns" });

export const certificateView = z
  .object({
    name: z.string(),
    template: z.string(),
    version: z.int().meta({ description: "Raised by one with every one that is issued" }),
    keeper: z
      .string()
      .meta({ description: "Who issued it and keeps its key", examples: ["embedded"] }),
    commonName: z.string(),
    altNames: z.array(z.string()),
    serial: z.string().meta({ description: "Hexadecimal digits" }),
    issuer: z.string(),
    notBefore: time,
    notAfter: time.meta({ description: "When it expires" }),
    renewAt: time.nullable().meta({ description: "When another one is issued by itself" }),
    createdAt: time,
  })
  .meta({ id: "OwnedCertificate", description: "A certificate that the environment owns" });

export const environmentView = z
  .object({
    id: environmentId,
    name: z.string(),
    description: z.string(),
    tags: tagsView,
    status: environmentStatus,
    reason: z.string().nullable().meta({ description: "Why it has this status" }),
    failure: failureView.nullable(),
    templates: z.array(templateUse),
    parameters: values,
    secrets: z.array(ownedSecretView).meta({
      description: "Declared secrets that were made: which version, never the value",
    }),
    certificates: z.array(certificateView).meta({
      description:
        "Certificates that were issued, declared ones and those of groups under the group's name: what is public of them",
    }),
    entrypoints: z.record(z.string(), z.object({ url: z.string(), description: z.string() })),
    outputs: values,
    requires: z.array(environmentId).meta({ description: "Environments whose outputs it uses" }),
    outdated: z.boolean().meta({ description: "What it requires has changed since" }),
    drifted: z.boolean(),
    generation: z.int().meta({ description: "Raised with every change of what is wanted" }),
    appliedGeneration: z.int().meta({ description: "The newest that was made real; 0 for none" }),
    activeRun: runId.nullable(),
    sequence: z.int().meta({ description: "Number of its newest event; its ETag names it" }),
    createdAt: time,
    updatedAt: time,
    plannedDestructionAt: time.nullable(),
    destroyedAt: time.nullable(),
  })
  .meta({ id: "Environment" });

export const driftView = z
  .object({
    environment: environmentId,
    environmentName: z.string(),
    drifted: z.boolean(),
    run: runId.nullable().meta({ description: "The last run that looked" }),
    checkedAt: time.nullable(),
    groups: z.array(
      z.object({
        template: z.string(),
        group: z.string(),
        executor: z.string(),
        drift: z.enum(["unknown", "none", "drifted", "missing"]),
        changes: z.array(changeView),
      }),
    ),
  })
  .meta({ id: "Drift", description: "What was found to differ from what was made" });

export const checkView = z
  .object({
    key: z.string().meta({ examples: ["shop", "web.server.home"] }),
    status: z.enum(["pending", "passing", "failing"]),
    detail: z.string(),
    target: z.string(),
    checkedAt: time.nullable().meta({ description: "When what is said here was seen first" }),
    lost: z.string().nullable().meta({
      description: "Why it cannot be looked at now; all else is then what was seen last",
    }),
  })
  .meta({ id: "Check", description: "A status endpoint and what was last seen there" });

/** The bodies are the commands' own data, so that every way in takes the same. */
export const createEnvironmentBody = commandData["environment.create"].meta({
  id: "CreateEnvironment",
});
export const updateEnvironmentBody = commandData["environment.update"].meta({
  id: "UpdateEnvironment",
});

export const rotateEnvironmentBody = commandData["environment.rotate"].meta({
  id: "RotateEnvironment",
});

const params = z.object({ environment: segment("Id or name of the environment") });
const actionParams = params.extend({ action: segment("Name of the action") });
const root = `${apiRoot}/environments`;
const one = `${root}/{environment}`;
const about = { tag: "environments", params, errors: ["not-found"] } as const;
const read = { ...about, method: "GET", headers: readHeaders } as const;

export const listEnvironmentsQuery = searchablePageQuery.extend({
  status: environmentStatus.optional(),
  destroyed: flag.meta({ description: "Destroyed ones too" }),
});

export const destroyQuery = z.strictObject({
  cascade: flag.meta({ description: "Environments that require it are destroyed first" }),
  now: flag.meta({ description: "A running run is cancelled instead of waited for" }),
});

export const environmentRoutes = [
  {
    id: "listEnvironments",
    method: "GET",
    path: root,
    tag: "environments",
    summary: "List environments, newest first",
    query: listEnvironmentsQuery,
    headers: readHeaders,
    replies: { 200: { description: "A page", schema: listOf(environmentView) } },
  },
  {
    id: "createEnvironment",
    method: "POST",
    path: root,
    tag: "environments",
    summary: "Create an environment from a template",
    headers: commandHeaders,
    body: { schema: createEnvironmentBody },
    replies: { 202: acceptedReply },
    errors: ["invalid-parameters", "not-found", "already-exists", "requirement-cycle"],
  },
  {
    ...read,
    id: "getEnvironment",
    path: one,
    summary: "Read an environment",
    replies: { 200: { description: "The environment", schema: environmentView } },
  },
  {
    ...about,
    id: "updateEnvironment",
    method: "PATCH",
    path: one,
    summary: "Change what is wanted: version, parameters, description, tags, lifetime",
    headers: conditionalCommandHeaders,
    body: { schema: updateEnvironmentBody },
    replies: { 202: acceptedReply },
    errors: ["not-found", "invalid-parameters", "conflict", "precondition-failed"],
  },
  {
    ...about,
    id: "destroyEnvironment",
    method: "DELETE",
    path: one,
    summary: "Destroy an environment",
    headers: conditionalCommandHeaders,
    query: destroyQuery,
    body: { schema: emptyBody, optional: true },
    replies: { 202: acceptedReply },
    errors: ["not-found", "conflict", "in-use", "precondition-failed"],
  },
  {
    ...about,
    id: "runEnvironmentAction",
    method: "POST",
    path: `${one}/actions/{action}`,
    params: actionParams,
    summary: "Run a named action",
    headers: conditionalCommandHeaders,
    body: { schema: emptyBody, optional: true },
    replies: { 202: acceptedReply },
    errors: ["not-found", "conflict", "precondition-failed"],
  },
  {
    ...about,
    id: "rotateEnvironment",
    method: "POST",
    path: `${one}/rotate`,
    summary: "Make new versions of its secrets and certificates, and apply again what uses them",
    headers: conditionalCommandHeaders,
    body: { schema: rotateEnvironmentBody, optional: true },
    replies: { 202: acceptedReply },
    errors: ["not-found", "conflict", "precondition-failed"],
  },
  {
    ...read,
    id: "listEnvironmentResources",
    path: `${one}/resources`,
    summary: "List its resources, with what was observed in the real world",
    replies: {
      200: {
        description: "All of them",
        schema: listOf(resourceView).extend({ observed: z.array(observedView) }),
      },
    },
  },
  {
    ...read,
    id: "getEnvironmentGraph",
    path: `${one}/graph`,
    summary: "Its dependency graph with statuses",
    replies: { 200: { description: "Nodes and edges", schema: graphView } },
  },
  {
    ...read,
    id: "listEnvironmentRuns",
    path: `${one}/runs`,
    summary: "List its runs, newest first",
    query: pageQuery,
    replies: { 200: { description: "A page", schema: listOf(runView) } },
  },
  {
    ...read,
    id: "getEnvironmentDrift",
    path: `${one}/drift`,
    summary: "What the last look found to differ",
    description: "`environment.refresh` looks again.",
    replies: { 200: { description: "By group", schema: driftView } },
  },
  {
    ...read,
    id: "listEnvironmentChecks",
    path: `${one}/checks`,
    summary: "Its checks and what was last seen",
    replies: { 200: { description: "All of them", schema: listOf(checkView) } },
  },
  {
    ...read,
    id: "listEnvironmentPlans",
    path: `${one}/plans`,
    summary: "List its saved plans, newest first",
    query: pageQuery,
    replies: { 200: { description: "A page", schema: listOf(planSummaryView) } },
  },
  {
    ...about,
    id: "getEnvironmentImpact",
    method: "GET",
    path: `${one}/impact`,
    tag: "later",
    summary: "What a change would touch",
    replies: { 200: { description: "Later", schema: jsonValue } },
    notAvailable: true,
  },
] as const satisfies readonly Route[];
