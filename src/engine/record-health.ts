import type { CheckState } from "../domain/check.ts";
import { mayMove, type Environment } from "../domain/environment.ts";
import { environmentEventData, resourceEventData } from "../domain/event-data.ts";
import type { NewEvent } from "../domain/event.ts";
import {
  checkStatesOf,
  environmentHealth,
  isFollowed,
  resourceHealth,
  type CheckStates,
  type Health,
} from "../domain/health.ts";
import type { TemplateBody } from "../domain/template.ts";
import type { Tx } from "../ports/store.ts";
import { isNews, isTurn } from "./followed-check.ts";

/**
 * Writes what checks of a living environment say now, and what follows: resources and the environment turn healthy or unhealthy,
 * with their events. What is known already writes nothing, so that several may say the same. Gives the states as they are now; null
 * when its checks do not decide any more: it is being changed, or is not what it was.
 */
export async function recordHealth(
  tx: Tx,
  of: {
    readonly environmentId: string;
    readonly generation: number;
    readonly body: TemplateBody;
    readonly states: readonly CheckState[];
    readonly now: string;
  },
): Promise<CheckStates | null> {
  const environment = await tx.environments.get(of.environmentId);
  if (environment === null || !isFollowed(environment)) return null;
  if (environment.generation !== of.generation) return null;
  const before = checkStatesOf(await tx.checks.list(environment.id));
  const news = of.states.filter((state) => isNews(before.get(state.key) ?? null, state));
  for (const state of news) await tx.checks.put(state);
  const after: CheckStates = new Map([...before, ...checkStatesOf(news)]);
  if (!news.some((state) => isTurn(before.get(state.key) ?? null, state))) return after;
  const events = [
    ...(await turnResources(tx, environment, { before, after })),
    ...(await turnEnvironment(tx, environment, {
      health: environmentHealth(of.body, after),
      now: of.now,
    })),
  ];
  if (events.length > 0) await tx.events.append(events, of.now);
  return after;
}

async function turnResources(
  tx: Tx,
  { id, name }: Environment,
  { before, after }: { readonly before: CheckStates; readonly after: CheckStates },
): Promise<readonly NewEvent[]> {
  const resources = await tx.resources.ofEnvironment(id);
  return resources.flatMap((resource): readonly NewEvent[] => {
    const [was, is] = [resourceHealth(resource, before), resourceHealth(resource, after)];
    if (is === null || is.status === "unknown" || is.status === was?.status) return [];
    const data = { ...resourceEventData(resource), health: { ...is } };
    const subject = `environments/${name}`;
    return [{ type: `resource.${is.status}`, environmentId: id, subject, data }];
  });
}

async function turnEnvironment(
  tx: Tx,
  environment: Environment,
  { health, now }: { readonly health: Health | null; readonly now: string },
): Promise<readonly NewEvent[]> {
  const wanted = health === null ? null : statusOf(environment, health);
  if (wanted === null || !mayMove(environment.status, wanted.status)) return [];
  if (wanted.status === environment.status && wanted.reason === environment.reason) return [];
  const patch = { ...wanted, updatedAt: now };
  await tx.environments.update(environment.id, patch);
  const type = wanted.status === "deployed-ok" ? "environment.ok" : "environment.failed";
  const data = environmentEventData({ ...environment, ...patch });
  const subject = `environments/${environment.name}`;
  return [{ type, environmentId: environment.id, subject, data }];
}

/** While nothing is known of a check, what the environment is stays; beside it stands why. */
function statusOf(
  environment: Environment,
  { status, reason }: Health,
): Pick<Environment, "status" | "reason" | "failure"> | null {
  switch (status) {
    case "healthy":
      return { status: "deployed-ok", reason, failure: null };
    case "unhealthy": {
      const message = reason ?? "a check fails";
      return { status: "deployed-failed", reason, failure: { code: "unhealthy", message } };
    }
    case "unknown": {
      const { failure } = environment;
      if (reason === null) return null;
      return { status: environment.status, reason, failure };
    }
  }
}
