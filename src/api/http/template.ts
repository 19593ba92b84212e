import { formatDuration } from "../../lib/duration.ts";
import type { Template, TemplateBody, TemplateSource } from "../../domain/template.ts";
import { parametersJsonSchema } from "../../contract/parameters-schema.ts";
import type { TemplateSummaryView, TemplateView } from "../../contract/rest.ts";
import type { TemplateSummary } from "../../ports/repositories.ts";
import type { Api, Call, Handlers } from "./api.ts";
import { ask } from "./command.ts";
import { pageOf, pageRequest, wholeList } from "./page.ts";
import { templateGraph } from "./template-graph.ts";

type Ids = "listTemplates" | "registerTemplate" | "listTemplateVersions" | "getTemplate";

export function templateHandlers(api: Api): Pick<Handlers, Ids> {
  const { services } = api;
  return {
    listTemplates: async ({ query }) =>
      pageOf(await services.listTemplates(pageRequest(query), query.q), summaryOf),
    registerTemplate: async (call) => register(api, call),
    listTemplateVersions: async ({ params }) =>
      wholeList(await services.listTemplateVersions(params.template), summaryOf),
    getTemplate: async ({ params }) => {
      const template = await services.getTemplate(params.template, params.version);
      const compatibility = await services.getCompatibility?.(template.id);
      return { ...templateOf(template), ...(compatibility === undefined ? {} : { compatibility }) };
    },
  };
}

async function register(api: Api, call: Call<"registerTemplate">): ReturnType<typeof ask> {
  const { body } = call.request;
  const draft = call.query.draft ? { draft: true } : {};
  const type = "template.register";
  if (Buffer.isBuffer(body))
    return ask(api, call, { type, subject: null, data: draft, archive: body });
  return ask(api, call, { type, subject: null, data: { ...draft, ...call.body } });
}

function summaryOf(template: TemplateSummary): TemplateSummaryView {
  return {
    id: template.id,
    name: template.name,
    version: template.version,
    status: template.status,
    description: template.description,
    tags: template.tags,
    source: sourceOf(template.source),
    digest: template.digest,
    createdAt: template.createdAt,
  };
}

function sourceOf(source: TemplateSource): TemplateSummaryView["source"] {
  return { ...source };
}

function templateOf(template: Template): TemplateView {
  const { body, files } = template;
  return {
    ...summaryOf(template),
    parameters: mapValues(body.parameters, (parameter) => ({
      type: parameter.type,
      description: parameter.description,
      required: parameter.default === undefined,
      secret: parameter.secret,
      immutable: parameter.immutable,
      ...(parameter.default === undefined ? {} : { default: parameter.default }),
    })),
    parametersSchema: parametersJsonSchema(body),
    requires: mapValues(body.requires, (one) => ({
      kind: one.kind,
      description: one.description,
      ...(one.kind === "environment" ? { environment: one.environment, outputs: one.outputs } : {}),
    })),
    groups: groupsOf(body),
    graph: templateGraph(body),
    outputs: body.outputs,
    entrypoints: body.entrypoints,
    checks: mapValues(body.checks, (check) => ({
      description: check.description,
      probe: { ...check.probe },
      interval: formatDuration(check.intervalMs),
      within: formatDuration(check.withinMs),
    })),
    actions: mapValues(body.actions, (action) => ({
      description: action.description,
      name: action.app.name,
      command: action.app.command,
      timeout: formatDuration(action.timeoutMs),
      runsOn: action.runsOn ?? [],
    })),
    lifetime: lifetimeOf(body),
    files: files.map(({ path, size, mode, digest }) => ({
      path,
      size,
      mode: mode.toString(8),
      digest,
    })),
  };
}

function groupsOf(body: TemplateBody): TemplateView["groups"] {
  return mapValues(body.groups, (group) => ({
    description: group.description,
    tags: group.tags,
    executor: group.executor,
    with: group.with,
    upstreams: group.upstreams,
    outputs: group.outputs,
    resources: mapValues(group.resources, ({ name, description, count, dependsOn }) => ({
      name,
      description,
      count,
      dependsOn,
    })),
    timeout: formatDuration(group.timeoutMs),
    onFailure: group.onFailure,
    runsOn: group.runsOn ?? [],
  }));
}

function lifetimeOf({ lifetime }: TemplateBody): TemplateView["lifetime"] {
  const { defaultMs, maximumMs } = lifetime;
  return {
    ...(defaultMs === undefined ? {} : { default: formatDuration(defaultMs) }),
    ...(maximumMs === undefined ? {} : { maximum: formatDuration(maximumMs) }),
  };
}

function mapValues<T, V>(
  record: Readonly<Record<string, T>>,
  view: (value: T) => V,
): Readonly<Record<string, V>> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, view(value)]));
}
