import { toJson, type Json } from "../lib/json.ts";
import type { Command } from "./command.ts";
import type { Environment } from "./environment.ts";
import type { Resource } from "./resource.ts";
import type { Run } from "./run.ts";
import type { Step } from "./step.ts";
import type { Template } from "./template.ts";
import { maskSecrets } from "./value.ts";

/** What an event says of its entity: its own fields after the change, secrets masked, nothing internal. */

export function environmentEventData(environment: Environment): Json {
  const { id, name, description, tags, status, reason, failure, generation, outdated, drifted } =
    environment;
  const { entrypoints, createdAt, updatedAt, plannedDestructionAt, destroyedAt } = environment;
  const templates = environment.desired.templates.map((template) => ({
    id: template.templateId,
    name: template.name,
    version: template.version,
  }));
  const outputs = maskSecrets(environment.outputs);
  return toJson({
    id,
    name,
    description,
    tags,
    status,
    reason,
    failure,
    generation,
    outdated,
    drifted,
    templates,
    outputs,
    entrypoints,
    createdAt,
    updatedAt,
    plannedDestructionAt,
    destroyedAt,
  });
}

export function runEventData(run: Run): Json {
  const {
    id,
    environmentId,
    kind,
    status,
    reason,
    blocker,
    failure,
    stage,
    attempt,
    action,
    planId,
    progress,
    createdAt,
    startedAt,
    finishedAt,
  } = run;
  return toJson({
    id,
    environmentId,
    kind,
    status,
    reason,
    blocker,
    failure,
    stage,
    attempt,
    action,
    plan: planId,
    progress,
    createdAt,
    startedAt,
    finishedAt,
  });
}

export function stepEventData(step: Step): Json {
  const {
    id,
    runId,
    key,
    phase,
    template,
    group,
    executor,
    status,
    reason,
    failure,
    attempts,
    mark,
    changes,
    startedAt,
    finishedAt,
  } = step;
  return toJson({
    id,
    run: runId,
    key,
    phase,
    template,
    group,
    executor,
    status,
    reason,
    failure,
    attempts,
    mark,
    changes: changes.slice(0, mostChanges),
    startedAt,
    finishedAt,
  });
}

/** An event stays small; the step itself has them all. */
const mostChanges = 100;

export function commandEventData(command: Command): Json {
  const {
    id,
    source,
    sourceId,
    type,
    subject,
    status,
    failure,
    environmentId,
    templateId,
    runId,
    planId,
    actor,
    correlationId,
    createdAt,
    finishedAt,
  } = command;
  return toJson({
    id,
    source,
    sourceId,
    type,
    subject,
    status,
    failure,
    environment: environmentId,
    template: templateId,
    run: runId,
    plan: planId,
    actor,
    correlationId,
    createdAt,
    finishedAt,
  });
}

export function resourceEventData(resource: Resource): Json {
  const {
    id,
    environmentId,
    templateId,
    group,
    key,
    name,
    description,
    tags,
    count,
    status,
    links,
    dependsOn,
    external,
  } = resource;
  return toJson({
    id,
    environmentId,
    templateId,
    group,
    key,
    name,
    description,
    tags,
    count,
    status,
    links,
    dependsOn,
    external,
  });
}

export function templateEventData(
  template: Pick<
    Template,
    | "id"
    | "name"
    | "version"
    | "status"
    | "description"
    | "tags"
    | "digest"
    | "source"
    | "createdAt"
  >,
): Json {
  const { id, name, version, status, description, tags, digest, source, createdAt } = template;
  return toJson({ id, name, version, status, description, tags, digest, source, createdAt });
}
