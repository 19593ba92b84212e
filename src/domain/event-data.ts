import type { Json, JsonObject } from "../lib/json.ts";
import type { Command } from "./command.ts";
import type { Environment } from "./environment.ts";
import type { Failure } from "./errors.ts";
import type { SavedPlan } from "./plan.ts";
import type { Change, Resource } from "./resource.ts";
import type { Run } from "./run.ts";
import type { Step } from "./step.ts";
import type { Template } from "./template.ts";
import { maskSecrets } from "./value.ts";

/**
 * What an event carries: the entity's own fields after the change, secrets masked, one function a noun. Members that are
 * larger than the bound are left out, and `dataref` names where they can be read.
 */
const largestMember = 64 * 1024;

export function environmentEventData(environment: Environment): JsonObject {
  const data = {
    id: environment.id,
    name: environment.name,
    description: environment.description,
    tags: environment.tags,
    status: environment.status,
    reason: environment.reason,
    failure: failureData(environment.failure),
    templates: environment.desired.templates.map(({ templateId, name, version, parameters }) => ({
      id: templateId,
      name,
      version,
      parameters: maskSecrets(parameters),
    })),
    generation: environment.generation,
    appliedGeneration: environment.appliedGeneration,
    activeRun: environment.activeRun,
    outputs: maskSecrets(environment.outputs),
    entrypoints: maskSecrets(environment.entrypoints),
    requires: environment.requires,
    outdated: environment.outdated,
    drifted: environment.drifted,
    createdAt: environment.createdAt,
    updatedAt: environment.updatedAt,
    plannedDestructionAt: environment.plannedDestructionAt,
    destroyedAt: environment.destroyedAt,
  };
  return bounded(data, `/api/v1/environments/${environment.id}`);
}

export function runEventData(run: Run): JsonObject {
  const data = {
    id: run.id,
    environment: run.environmentId,
    kind: run.kind,
    status: run.status,
    stage: run.stage,
    reason: run.reason,
    blocker: run.blocker === null ? null : { kind: run.blocker.kind, on: run.blocker.on },
    failure: failureData(run.failure),
    generation: run.generation,
    plan: run.planId,
    action: run.action,
    attempt: run.attempt,
    progress: { ...run.progress },
    cancelRequestedAt: run.cancelRequestedAt,
    createdAt: run.createdAt,
    startedAt: run.startedAt,
    finishedAt: run.finishedAt,
  };
  return bounded(data, `/api/v1/runs/${run.id}`);
}

/** Changes are counted by their action; the list is read from the run's steps. `more` is what goes beyond the step's own fields: its run's progress, details of its own. */
export function stepEventData(step: Step, more: JsonObject = {}): JsonObject {
  const data = {
    id: step.id,
    run: step.runId,
    key: step.key,
    phase: step.phase,
    template: step.template,
    group: step.group,
    executor: step.executor,
    status: step.status,
    reason: step.reason,
    failure: failureData(step.failure),
    mark: step.mark,
    attempts: step.attempts,
    changes: changesData(step.changes),
    availableAt: step.availableAt,
    startedAt: step.startedAt,
    finishedAt: step.finishedAt,
    ...more,
  };
  return bounded(data, `/api/v1/runs/${step.runId}/steps`);
}

/** Without the command's body: what it asked for is read from the command. */
export function commandEventData(command: Command): JsonObject {
  const data = {
    id: command.id,
    source: command.source,
    sourceId: command.sourceId,
    type: command.type,
    subject: command.subject,
    status: command.status,
    failure: failureData(command.failure),
    environment: command.environmentId,
    template: command.templateId,
    run: command.runId,
    plan: command.planId,
    actor: command.actor,
    sender: command.sender,
    correlationId: command.correlationId,
    createdAt: command.createdAt,
    finishedAt: command.finishedAt,
  };
  return bounded(data, `/api/v1/commands/${command.id}`);
}

export function resourceEventData(resource: Resource): JsonObject {
  const data = {
    id: resource.id,
    environment: resource.environmentId,
    template: resource.template,
    group: resource.group,
    key: resource.key,
    name: resource.name,
    description: resource.description,
    tags: resource.tags,
    count: resource.count,
    status: resource.status,
    links: resource.links,
    dependsOn: resource.dependsOn,
    external: resource.external,
    createdAt: resource.createdAt,
    updatedAt: resource.updatedAt,
  };
  return bounded(data, `/api/v1/resources/${resource.id}`);
}

/** Without body and files: they are read from the template. */
export function templateEventData(template: Omit<Template, "body" | "files">): JsonObject {
  const { source } = template;
  const data = {
    id: template.id,
    name: template.name,
    version: template.version,
    status: template.status,
    description: template.description,
    tags: template.tags,
    source: { ...source },
    digest: template.digest,
    createdAt: template.createdAt,
  };
  return bounded(data, `/api/v1/templates/${template.name}/${template.version}`);
}

/** Without steps: they are read from the plan. */
export function planEventData(plan: SavedPlan): JsonObject {
  return {
    id: plan.id,
    environment: plan.environmentId,
    run: plan.runId,
    kind: plan.kind,
    status: plan.status,
    digest: plan.plan?.digest ?? null,
    createdAt: plan.createdAt,
    expiresAt: plan.expiresAt,
  };
}

function failureData(failure: Failure | null): Json {
  if (failure === null) return null;
  const details = (failure.details ?? []).map((detail) => ({ ...detail }));
  return {
    code: failure.code,
    message: failure.message,
    ...(details.length === 0 ? {} : { details }),
  };
}

const mostChanges = 100;

function changesData(changes: readonly Change[]): Json {
  return changes
    .filter(({ action }) => action !== "none")
    .slice(0, mostChanges)
    .map(({ address, action }) => ({ address, action }));
}

function bounded(data: JsonObject, path: string): JsonObject {
  const members = Object.entries(data);
  const kept = members.filter(([, value]) => !isLarge(value));
  return kept.length === members.length ? data : { ...Object.fromEntries(kept), dataref: path };
}

/** Only lists, maps and long texts are measured: everything else is small. */
function isLarge(value: Json): boolean {
  if (typeof value === "string") return value.length > largestMember;
  if (typeof value !== "object" || value === null) return false;
  return JSON.stringify(value).length > largestMember;
}
