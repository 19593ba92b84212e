import { GlasshouseError } from "../../domain/errors.ts";
import { maskSecrets } from "../../domain/value.ts";
import type { Environment } from "../../domain/environment.ts";
import type { OwnedSecret } from "../../domain/secret.ts";
import type { CheckState } from "../../domain/check.ts";
import { resourceHealth } from "../../domain/health.ts";
import { isJsonObject, type JsonObject } from "../../lib/json.ts";
import type { CheckView, DriftView, EnvironmentView } from "../../contract/rest.ts";
import type { Api, Call, Handlers } from "./api.ts";
import { ask } from "./command.ts";
import { environmentTag, namesTag } from "./etag.ts";
import { pageOf, pageRequest, wholeList } from "./page.ts";
import { planSummaryOf } from "./plan.ts";
import { observedOf, resourceOf } from "./resource.ts";
import { runOf } from "./run.ts";
import type { DriftRead } from "../../services/environment-drift.ts";
import type { EnvironmentRead } from "../../services/environment.ts";

type Reads =
  | "listEnvironments"
  | "getEnvironment"
  | "listEnvironmentResources"
  | "getEnvironmentGraph"
  | "listEnvironmentRuns"
  | "getEnvironmentDrift"
  | "listEnvironmentChecks"
  | "listEnvironmentPlans";
type Writes =
  | "createEnvironment"
  | "updateEnvironment"
  | "destroyEnvironment"
  | "rotateEnvironment"
  | "runEnvironmentAction";

export function environmentHandlers(api: Api): Pick<Handlers, Reads | Writes> {
  return { ...readHandlers(api), ...writeHandlers(api) };
}

function readHandlers(api: Api): Pick<Handlers, Reads> {
  const { services } = api;
  return {
    listEnvironments: async ({ query }) => {
      const { status, destroyed, q } = query;
      const filter = {
        ...(status === undefined ? {} : { status }),
        ...(destroyed ? { includeDestroyed: true } : {}),
        ...(q === undefined ? {} : { query: q }),
      };
      return pageOf(await services.listEnvironments(filter, pageRequest(query)), environmentOf);
    },
    getEnvironment: async ({ params, reply }) => {
      const read = await services.getEnvironment(params.environment);
      void reply.header("etag", environmentTag(read.environment));
      return environmentOf(read);
    },
    listEnvironmentResources: async ({ params }) => {
      const { environment, resources, states, observed } = await services.listEnvironmentResources(
        params.environment,
      );
      const about = { environmentName: environment.name };
      return {
        ...wholeList(resources, (resource) =>
          resourceOf({ ...about, resource, health: resourceHealth(resource, states) }),
        ),
        observed: observed.map((one) => observedOf(one)),
      };
    },
    getEnvironmentGraph: async ({ params }) => services.getEnvironmentGraph(params.environment),
    listEnvironmentRuns: async ({ params, query }) =>
      pageOf(await services.listEnvironmentRuns(params.environment, pageRequest(query)), runOf),
    getEnvironmentDrift: async ({ params }) =>
      driftOf(await services.getEnvironmentDrift(params.environment)),
    listEnvironmentChecks: async ({ params }) =>
      wholeList(await services.listEnvironmentChecks(params.environment), checkOf),
    listEnvironmentPlans: async ({ params, query }) =>
      pageOf(
        await services.listEnvironmentPlans(params.environment, pageRequest(query)),
        planSummaryOf,
      ),
  };
}

function writeHandlers(api: Api): Pick<Handlers, Writes> {
  return {
    createEnvironment: async (call) =>
      ask(api, call, {
        type: "environment.create",
        subject: call.body.name ?? null,
        data: call.request.body,
      }),
    updateEnvironment: async (call) =>
      askOf(api, call, { type: "environment.update", data: rawBody(call) }),
    destroyEnvironment: async (call) => {
      const { cascade, now } = call.query;
      const data = { ...(cascade ? { cascade } : {}), ...(now ? { now } : {}) };
      return askOf(api, call, { type: "environment.destroy", data });
    },
    rotateEnvironment: async (call) =>
      askOf(api, call, { type: "environment.rotate", data: rawBody(call) }),
    runEnvironmentAction: async (call) =>
      askOf(api, call, { type: "environment.action", data: { action: call.params.action } }),
  };
}

/** As it was sent: services check it once more, and the same body must give the same command. */
function rawBody({ request }: Call<"updateEnvironment"> | Call<"rotateEnvironment">): JsonObject {
  const { body } = request;
  return isJsonObject(body) ? body : {};
}

/** A command for the environment of the path; `If-Match` becomes the sequence that it must still have. */
async function askOf(
  api: Api,
  call:
    | Call<"updateEnvironment">
    | Call<"destroyEnvironment">
    | Call<"rotateEnvironment">
    | Call<"runEnvironmentAction">,
  asking: { readonly type: string; readonly data: JsonObject },
): ReturnType<typeof ask> {
  const subject = call.params.environment;
  const ifSequence = await sequenceToMatch(api, subject, call.request.headers["if-match"]);
  return ask(api, call, {
    ...asking,
    subject,
    ...(ifSequence === null ? {} : { ifSequence }),
  });
}

async function sequenceToMatch(
  api: Api,
  subject: string,
  wanted: string | undefined,
): Promise<number | null> {
  if (wanted === undefined || wanted.trim() === "*") return null;
  const { environment } = await api.services.getEnvironment(subject);
  if (namesTag(wanted, environmentTag(environment))) return environment.sequence;
  throw new GlasshouseError(
    "precondition-failed",
    `The environment ${environment.name} has changed since you read it: its ETag is ${environmentTag(environment)} now.`,
  );
}

export function environmentOf({
  environment,
  parameters,
  secrets,
}: EnvironmentRead): EnvironmentView {
  return {
    id: environment.id,
    name: environment.name,
    description: environment.description,
    tags: environment.tags,
    status: environment.status,
    reason: environment.reason,
    failure: environment.failure,
    templates: usesOf(environment),
    parameters: masked(parameters),
    secrets: secrets.filter(({ kind }) => kind === "secret").map((one) => ownedSecretOf(one)),
    certificates: secrets.flatMap((one) => certificateOf(one)),
    entrypoints: environment.entrypoints,
    outputs: masked(environment.outputs),
    requires: environment.requires,
    outdated: environment.outdated,
    drifted: environment.drifted,
    generation: environment.generation,
    appliedGeneration: environment.appliedGeneration,
    activeRun: environment.activeRun,
    sequence: environment.sequence,
    createdAt: environment.createdAt,
    updatedAt: environment.updatedAt,
    plannedDestructionAt: environment.plannedDestructionAt,
    destroyedAt: environment.destroyedAt,
  };
}

/** Where it is, and never what. */
function ownedSecretOf(secret: OwnedSecret): EnvironmentView["secrets"][number] {
  const { name, template, version, keeper, createdAt, rotatedAt, rotateAt } = secret;
  return { name, template, version, keeper, createdAt, rotatedAt, rotateAt };
}

/** What is public of it. */
function certificateOf(owned: OwnedSecret): EnvironmentView["certificates"] {
  const { name, template, version, keeper, createdAt, rotateAt, certificate } = owned;
  if (certificate === null) return [];
  const { asked, serial, issuer, notBefore, notAfter } = certificate;
  const { commonName, altNames } = asked;
  return [
    {
      name,
      template,
      version,
      keeper,
      commonName,
      altNames: [...altNames],
      serial,
      issuer,
      notBefore,
      notAfter,
      renewAt: rotateAt,
      createdAt,
    },
  ];
}

function usesOf({ desired }: Pick<Environment, "desired">): EnvironmentView["templates"] {
  return desired.templates.map(({ templateId, name, version }) => ({
    id: templateId,
    name,
    version,
  }));
}

function masked(values: Environment["outputs"]): JsonObject {
  const shown = maskSecrets(values);
  return isJsonObject(shown) ? shown : {};
}

function driftOf({ environment, run, groups }: DriftRead): DriftView {
  return {
    environment: environment.id,
    environmentName: environment.name,
    drifted: environment.drifted,
    run: run?.id ?? null,
    checkedAt: run?.finishedAt ?? null,
    groups: groups.map((group) => ({ ...group })),
  };
}

function checkOf(check: CheckState): CheckView {
  const { key, status, detail, target, checkedAt, lost } = check;
  return { key, status, detail, target, checkedAt, lost };
}
