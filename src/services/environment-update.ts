import type { Environment } from "../domain/environment.ts";
import { environmentEventData } from "../domain/event-data.ts";
import type { EventType, NewEvent } from "../domain/event.ts";
import type { Tx } from "../ports/store.ts";
import { askingOfApply } from "./asking.ts";
import { withParameters } from "./command-body.ts";
import type { Services } from "./deps.ts";
import { changeDesired, loadVersions, type Versions, type Wish } from "./desired-change.ts";
import type { Asked, Effect, Effected } from "./effect.ts";
import { refuseWhileDestroying, subjectEnvironment } from "./environment-find.ts";
import { plannedDestruction } from "./lifetime.ts";
import { putSecrets } from "./parameters.ts";
import { enqueue, joinable, queuedRun } from "./queue.ts";
import { refuseUnserved } from "./worker.ts";

type Data = Asked<"environment.update">["data"] & Pick<Wish, "rotations">;

/**
 * Changes what is wanted at once, and queues a run that makes it so; a queued run that has not started takes it along.
 * Description, tags and lifetime alone need no run. An update that names nothing runs what is wanted already.
 */
export async function prepareUpdate(
  deps: Services,
  asked: Asked<"environment.update">,
): Promise<Effect> {
  const versions = await deps.store.read((tx) => loadVersions(tx, asked.request, asked.data));
  const runId = deps.clock.id("run");
  return async (tx, now) => {
    const environment = await subjectEnvironment(tx, asked.request);
    refuseWhileDestroying(environment, "updated");
    const of: Updating = { asked, versions, environment, runId, now };
    return needsRun(asked.data) ? updateWithRun(tx, deps, of) : updateDetails(tx, of);
  };
}

interface Updating {
  readonly asked: Pick<Asked<"environment.update">, "request"> & { readonly data: Data };
  readonly versions: Versions;
  readonly environment: Environment;
  readonly runId: string;
  readonly now: string;
}

function needsRun(data: Data): boolean {
  const { description, tags, ttl } = data;
  const details = description !== undefined || tags !== undefined || ttl !== undefined;
  const named = [data.template, data.templates, data.parameters, data.reset];
  return !details || named.some((member) => member !== undefined);
}

async function updateDetails(tx: Tx, of: Updating): Promise<Effected> {
  const { asked, environment, now } = of;
  const patch = { ...detailsOf(of), updatedAt: now };
  await tx.environments.update(environment.id, patch);
  return {
    status: "completed",
    environmentId: environment.id,
    data: withParameters(asked.data, {}),
    events: [environmentEvent("environment.updated", { ...environment, ...patch })],
  };
}

/** What is wanted changes, and a run that makes it so is queued. */
export async function updateWithRun(tx: Tx, deps: Services, of: Updating): Promise<Effected> {
  const { asked, versions, environment, now } = of;
  const { data } = asked;
  const details = detailsOf(of);
  const change = await changeDesired(tx, deps, {
    environment,
    versions,
    wish: data,
    tags: data.tags,
    now,
  });
  const patch = {
    ...details,
    desired: change.desired,
    generation: environment.generation + (change.changed ? 1 : 0),
    requires: change.requires,
    status: "deploying",
    reason: "an update is queued",
    failure: null,
    updatedAt: now,
  } as const;
  const after: Environment = { ...environment, ...patch };
  await tx.environments.update(environment.id, patch);
  await putSecrets(tx, change.kept.secrets);
  const queued = await queueUpdate(tx, deps, { ...of, after });
  return {
    status: "accepted",
    environmentId: environment.id,
    templateId: versions.target.id,
    runId: queued.runId,
    data: withParameters(data, change.kept.named),
    events: [environmentEvent("environment.deploying", after), ...queued.events],
  };
}

/** The newest wishes go with the run that waits anyway, else with a new one. */
async function queueUpdate(
  tx: Tx,
  deps: Services,
  of: Updating & { readonly after: Environment },
): Promise<{ readonly runId: string; readonly events: readonly NewEvent[] }> {
  const { after, now, versions } = of;
  const asking = await askingOfApply(tx, after.id, versions.target.body);
  const joined = joinable(await tx.runs.queue(after.id));
  if (joined !== null) {
    await refuseUnserved(tx, asking);
    const { desired, generation } = after;
    await tx.runs.update(joined.id, { desired, generation });
    return { runId: joined.id, events: [] };
  }
  const run = queuedRun(deps.limits, {
    id: of.runId,
    environment: after,
    kind: "update",
    now,
    options: of.asked.data,
  });
  return {
    runId: run.id,
    events: [await enqueue(tx, deps, { run, environmentName: after.name, asking })],
  };
}

function detailsOf({
  asked,
  versions,
  environment,
  now,
}: Updating): Partial<Pick<Environment, "description" | "tags" | "plannedDestructionAt">> {
  const { description, tags, ttl } = asked.data;
  const { lifetime } = versions.target.body;
  const planned =
    ttl === undefined
      ? {}
      : {
          plannedDestructionAt: plannedDestruction({
            ttl,
            lifetime,
            createdAt: environment.createdAt,
            now,
          }),
        };
  return {
    ...(description === undefined ? {} : { description }),
    ...(tags === undefined ? {} : { tags }),
    ...planned,
  };
}

export function environmentEvent(type: EventType, environment: Environment): NewEvent {
  return {
    type,
    environmentId: environment.id,
    subject: `environments/${environment.name}`,
    data: environmentEventData(environment),
  };
}
