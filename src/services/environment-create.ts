import { isLiving, type Environment } from "../domain/environment.ts";
import { GlasshouseError } from "../domain/errors.ts";
import { environmentEventData } from "../domain/event-data.ts";
import { isId, namePattern } from "../domain/id.ts";
import type { Template } from "../domain/template.ts";
import type { Values } from "../domain/value.ts";
import type { ReadTx, Tx } from "../ports/store.ts";
import { askingOfNew } from "./asking.ts";
import { withParameters } from "./command-body.ts";
import type { Services } from "./deps.ts";
import { Moved, type Asked, type Effect, type Effected } from "./effect.ts";
import { plannedDestruction } from "./lifetime.ts";
import { keepParameters, putSecrets } from "./parameters.ts";
import { enqueue, queuedRun } from "./queue.ts";
import { resolveRequirements } from "./requirements.ts";

/** Creates an environment and queues its first run. Errors: `already-exists`, `not-found`, `invalid-parameters`, `requirement-cycle`, `no-worker`. */
export async function prepareCreate(
  deps: Services,
  asked: Asked<"environment.create">,
): Promise<Effect> {
  const name = nameOf(asked);
  const reference = templateOf(asked.data);
  const template = await deps.choices.choose(reference, (fn) => deps.store.read(fn));
  const ids = { environment: deps.clock.id("environment"), run: deps.clock.id("run") };
  const effect = (tx: Tx, now: string): Promise<Effected> =>
    create(tx, deps, { asked, name, template, ids, now });
  const holds = (tx: ReadTx): Promise<void> => deps.choices.confirm(tx, reference, template);
  // That its name is free is found by inserting it; who has it is looked up only for the refusal.
  const explain = async ({ code }: GlasshouseError): Promise<void> => {
    if (code === "already-exists") await deps.store.read((tx) => refuseTaken(tx, name));
  };
  return Object.assign(effect, { holds, explain });
}

interface Creation {
  readonly asked: Asked<"environment.create">;
  readonly name: string;
  readonly template: Template;
  readonly ids: { readonly environment: string; readonly run: string };
  readonly now: string;
}

async function create(tx: Tx, deps: Services, of: Creation): Promise<Effected> {
  const { asked, name, template, ids, now } = of;
  const { data } = asked;
  const kept = await keepParameters(tx, deps, {
    environmentId: ids.environment,
    template,
    given: data.parameters ?? {},
    now,
  });
  const facts = { id: ids.environment, name, tags: data.tags ?? {} };
  const requires = await resolveRequirements(tx, {
    environment: facts,
    body: template.body,
    parameters: kept.values,
  });
  const environment = environmentRow(of, { parameters: kept.values, requires, tags: facts.tags });
  await tx.environments.insert(environment);
  await putSecrets(tx, kept.secrets);
  const run = queuedRun(deps.limits, {
    id: ids.run,
    environment,
    kind: "create",
    now,
    options: data,
  });
  const queued = await enqueue(tx, deps, {
    run,
    environmentName: name,
    isFirst: true,
    asking: askingOfNew(template.body),
  });
  return {
    status: "accepted",
    environmentId: environment.id,
    templateId: template.id,
    runId: run.id,
    first: { run, environment, template },
    data: withParameters(data, kept.named),
    events: [
      {
        type: "environment.deploying",
        environmentId: environment.id,
        subject: `environments/${name}`,
        data: environmentEventData(environment),
      },
      queued,
    ],
  };
}

function environmentRow(
  { asked, name, template, ids, now }: Creation,
  of: Pick<Environment, "requires" | "tags"> & { readonly parameters: Values },
): Environment {
  const { description, ttl } = asked.data;
  const { lifetime } = template.body;
  return {
    ...blank(now),
    id: ids.environment,
    name,
    tags: of.tags,
    description: description ?? "",
    reason: "its creation is queued",
    desired: {
      templates: [
        {
          templateId: template.id,
          name: template.name,
          version: template.version,
          parameters: of.parameters,
        },
      ],
    },
    generation: 1,
    requires: of.requires,
    prospective: false,
    plannedDestructionAt: plannedDestruction({ ttl, lifetime, createdAt: now, now }),
  };
}

/** The environment that a plan is about before there is one: nothing wanted, nothing taken, in no list. */
export function prospectiveEnvironment(of: {
  readonly id: string;
  readonly name: string;
  readonly template: Template;
  readonly now: string;
}): Environment {
  const { id, name, template, now } = of;
  const desired = {
    templates: [
      { templateId: template.id, name: template.name, version: template.version, parameters: {} },
    ],
  };
  return {
    ...blank(now),
    id,
    name,
    tags: {},
    description: "",
    reason: "it is only planned",
    desired,
    generation: 0,
    requires: [],
    prospective: true,
    plannedDestructionAt: null,
  };
}

/** What every environment begins with. */
function blank(
  now: string,
): Pick<
  Environment,
  | "status"
  | "failure"
  | "appliedGeneration"
  | "activeRun"
  | "sequence"
  | "outputs"
  | "entrypoints"
  | "outdated"
  | "drifted"
  | "createdAt"
  | "updatedAt"
  | "destroyedAt"
> {
  return {
    status: "deploying",
    failure: null,
    appliedGeneration: 0,
    activeRun: null,
    sequence: 0,
    outputs: {},
    entrypoints: {},
    outdated: false,
    drifted: false,
    createdAt: now,
    updatedAt: now,
    destroyedAt: null,
  };
}

function nameOf({ request, data }: Asked<"environment.create">): string {
  const name = data.name ?? request.subject;
  const pointer = data.name === undefined ? "/subject" : "/name";
  if (name === null) {
    const message = "An environment needs a name: give it as `name` or as the subject.";
    throw new GlasshouseError("invalid-request", message, {
      details: [{ message, pointer: "/name" }],
    });
  }
  if (data.name !== undefined && request.subject !== null && request.subject !== data.name) {
    const message = `The name ${data.name} and the subject ${request.subject} differ: give one of them.`;
    throw new GlasshouseError("invalid-request", message, { details: [{ message, pointer }] });
  }
  refuseBadName(name, pointer);
  return name;
}

/** Errors: `invalid-request` at the pointer. */
export function refuseBadName(name: string, pointer: string): void {
  if (namePattern.test(name)) return;
  const message = `"${name.slice(0, 80)}" is no name of an environment: small letters, digits and -, neither first nor last a -, at most 63 characters.`;
  throw new GlasshouseError("invalid-request", message, { details: [{ message, pointer }] });
}

/** The one template; several in one environment come later. */
export function templateOf(data: {
  readonly template?: string | undefined;
  readonly templates?: readonly string[] | undefined;
}): string {
  if ((data.templates?.length ?? 0) > 1) {
    throw new GlasshouseError(
      "not-available",
      "Several templates in one environment are not available in this version: create an environment for each.",
    );
  }
  return data.template ?? data.templates?.[0] ?? "";
}

export async function refuseTaken(tx: ReadTx, name: string): Promise<void> {
  const present = await tx.environments.find(name);
  if (present === null || !isLiving(present) || isId("environment", name)) return;
  throw new GlasshouseError(
    "already-exists",
    `There is an environment ${name} already (${present.id}, ${present.status}): choose another name, update it, or destroy it first.`,
  );
}

/** What was prepared with a template holds only while that has the same content and may be used. */
export async function sameTemplate(tx: Tx, template: Template): Promise<void> {
  const now = await tx.templates.summary(template.id);
  if (now?.status !== template.status || now.digest !== template.digest) throw new Moved();
}
