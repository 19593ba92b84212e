import type { Environment } from "../domain/environment.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { NewEvent } from "../domain/event.ts";
import { exclusiveKinds, type Run } from "../domain/run.ts";
import { toJson } from "../lib/json.ts";
import type { Tx } from "../ports/store.ts";
import { askingOfGroups } from "./asking.ts";
import type { Services } from "./deps.ts";
import type { Asked, Effect, Effected } from "./effect.ts";
import { subjectEnvironment } from "./environment-find.ts";
import { environmentEvent } from "./environment-update.ts";
import { enqueue, queuedRun } from "./queue.ts";
import { endQueued } from "./run-end.ts";

/**
 * Queues the destruction of an environment. What waits in its queue is superseded; what runs ends first, or is cancelled
 * with `now`. A destroy that is queued or running already is joined. Errors: `in-use` with the list while living
 * environments require it, unless `cascade` takes those down first.
 */
export async function prepareDestroy(
  deps: Services,
  asked: Asked<"environment.destroy">,
): Promise<Effect> {
  const { request } = asked;
  return async (tx, now) => {
    const environment = await subjectEnvironment(tx, request);
    const dependents = await dependentsOf(tx, deps, environment);
    if (dependents.length > 0 && asked.data.cascade !== true)
      throw inUse(environment, dependents, await tx.environments.requiring(environment.id));
    return destroyAll(tx, deps, { asked, environment, dependents, now });
  };
}

interface Destroying {
  readonly asked: Asked<"environment.destroy">;
  readonly environment: Environment;
  /** Those that require it, directly or not, nearest first. */
  readonly dependents: readonly Environment[];
  readonly now: string;
}

async function destroyAll(tx: Tx, deps: Services, of: Destroying): Promise<Effected> {
  const { asked, environment, dependents, now } = of;
  const events: NewEvent[] = [];
  for (const dependent of dependents.toReversed()) {
    const reason = `it goes with ${environment.name}, which it requires`;
    const one = await destroyOne(tx, deps, { ...of, environment: dependent, reason, now });
    events.push(...one.events);
  }
  const names = dependents.map((dependent) => dependent.name).slice(0, 5);
  const reason =
    names.length === 0
      ? "its destruction is queued"
      : `it waits until ${names.join(", ")} are gone`;
  const { runId, events: own } = await destroyOne(tx, deps, { ...of, reason });
  return {
    status: "accepted",
    environmentId: environment.id,
    runId,
    data: toJson(asked.data),
    events: [...events, ...own],
  };
}

async function destroyOne(
  tx: Tx,
  deps: Services,
  of: Destroying & { readonly reason: string },
): Promise<{ readonly runId: string; readonly events: readonly NewEvent[] }> {
  const { asked, environment, now } = of;
  const queue = await tx.runs.queue(environment.id);
  const active = environment.activeRun === null ? null : await tx.runs.get(environment.activeRun);
  const events: NewEvent[] = [];
  for (const run of queue) {
    if (run.kind === "destroy" || !exclusiveKinds.includes(run.kind)) continue;
    const reason = `the destruction of ${environment.name} took its place`;
    events.push(...(await endQueued(tx, { run, environment, status: "superseded", reason, now })));
  }
  if (asked.data.now === true && active !== null && active.kind !== "destroy")
    await tx.runs.update(active.id, { cancelRequestedAt: active.cancelRequestedAt ?? now });
  const joined = queue.find((run) => run.kind === "destroy") ?? joinableActive(active);
  if (joined !== null) return { runId: joined.id, events };
  const run = queuedRun(deps.limits, {
    id: deps.clock.id("run"),
    environment,
    kind: "destroy",
    now,
    options: asked.data,
  });
  const records = asked.request.mayWait === true ? [] : await tx.records.labelled(environment.id);
  const queued = await enqueue(tx, deps, {
    run,
    environmentName: environment.name,
    asking: askingOfGroups(records),
  });
  const patch = {
    status: "destroying",
    reason: of.reason,
    failure: null,
    updatedAt: now,
  } as const;
  await tx.environments.update(environment.id, patch);
  events.push(environmentEvent("environment.destroying", { ...environment, ...patch }), queued);
  return { runId: run.id, events };
}

/** A destroy that is being cancelled will not do what is asked for now. */
function joinableActive(active: Run | null): Run | null {
  return active?.kind === "destroy" && active.cancelRequestedAt === null ? active : null;
}

/** Living environments that require this one, directly or through others, nearest first. Errors: `too-many`. */
async function dependentsOf(
  tx: Tx,
  deps: Services,
  environment: Environment,
): Promise<readonly Environment[]> {
  const found = new Map<string, Environment>();
  const open = [environment];
  for (const next of open) {
    for (const dependent of await tx.environments.requiring(next.id)) {
      if (dependent.id === environment.id || found.has(dependent.id)) continue;
      found.set(dependent.id, dependent);
      open.push(dependent);
      if (found.size > deps.limits.cascade) {
        throw new GlasshouseError(
          "too-many",
          `More than ${deps.limits.cascade} environments require ${environment.name}: destroy them in smaller parts first.`,
        );
      }
    }
  }
  return [...found.values()];
}

function inUse(
  environment: Environment,
  dependents: readonly Environment[],
  direct: readonly Environment[],
): GlasshouseError {
  const names = direct.map((dependent) => dependent.name);
  const list = names.slice(0, 10).join(", ") + (names.length > 10 ? ", …" : "");
  const message = `Environment ${environment.name} is required by ${list}: destroy them first, or all of them together with \`--cascade\` (${dependents.length} in all).`;
  return new GlasshouseError("in-use", message, {
    details: direct.slice(0, 100).map(({ name, id, status }) => ({
      message: `${name} (${id}, ${status}) requires ${environment.name}.`,
    })),
  });
}
