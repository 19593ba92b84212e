import type { Environment } from "../domain/environment.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { Run } from "../domain/run.ts";
import type { Template } from "../domain/template.ts";
import { nearest } from "../lib/nearest.ts";
import { toJson } from "../lib/json.ts";
import type { Tx } from "../ports/store.ts";
import { askingOfAction, askingOfChecks, askingOfGroups, type Asking } from "./asking.ts";
import type { Services } from "./deps.ts";
import { presentTemplateId } from "./desired-change.ts";
import { Moved, type Asked, type CommandRequest, type Effect, type Effected } from "./effect.ts";
import { refuseWhileDestroying, subjectEnvironment } from "./environment-find.ts";
import { enqueue, isApply, queuedRun, type NewRun } from "./queue.ts";
import { loadTemplate } from "./template-choice.ts";

type Acting = Asked<"environment.validate" | "environment.refresh" | "environment.action">;

/** Runs the environment's checks again. Errors: `conflict` while nothing whole is there to check. */
export async function prepareValidate(
  deps: Services,
  asked: Asked<"environment.validate">,
): Promise<Effect> {
  const runId = deps.clock.id("run");
  const template = await presentTemplate(deps, asked.request);
  const asking = askingOfChecks(template.body);
  return async (tx, now) => {
    const environment = await subjectEnvironment(tx, asked.request);
    refuseWhileDestroying(environment, "validated");
    await refuseUnmade(tx, environment);
    if (presentTemplateId(environment) !== template.id) throw new Moved();
    return act(tx, deps, {
      asked,
      environment,
      run: { id: runId, kind: "validate", now },
      asking,
    });
  };
}

/** Looks at every group for drift. It changes nothing and holds no queue, so it is taken in every living state. */
export async function prepareRefresh(
  deps: Services,
  asked: Asked<"environment.refresh">,
): Promise<Effect> {
  const runId = deps.clock.id("run");
  return async (tx, now) => {
    const environment = await subjectEnvironment(tx, asked.request);
    const asking = askingOfGroups(await tx.records.labelled(environment.id));
    return act(tx, deps, { asked, environment, run: { id: runId, kind: "refresh", now }, asking });
  };
}

/** Runs a named action of the environment's template. Errors: `not-found` for an action it does not have. */
export async function prepareAction(
  deps: Services,
  asked: Asked<"environment.action">,
): Promise<Effect> {
  const { request, data } = asked;
  if (data.parameters !== undefined) {
    throw new GlasshouseError(
      "not-available",
      "Parameters of actions are not available in this version.",
    );
  }
  const template = await presentTemplate(deps, request);
  const known = Object.keys(template.body.actions);
  const action = template.body.actions[data.action];
  if (action === undefined || !known.includes(data.action)) {
    const near = nearest(data.action, known);
    const list = known.length === 0 ? "it has none" : `it has ${known.join(", ")}`;
    throw new GlasshouseError(
      "not-found",
      `Template ${template.name}@${template.version} has no action ${data.action}: ${near === null ? list : `did you mean ${near}?`}`,
    );
  }
  const runId = deps.clock.id("run");
  return async (tx, now) => {
    const environment = await subjectEnvironment(tx, request);
    refuseWhileDestroying(environment, "acted on");
    if (presentTemplateId(environment) !== template.id) throw new Moved();
    const run = { id: runId, kind: "action", action: data.action, now } as const;
    const asking = askingOfAction(data.action, action);
    return act(tx, deps, { asked, environment, run, asking });
  };
}

/** Loaded before the transaction: it may be large. */
function presentTemplate(deps: Services, request: CommandRequest): Promise<Template> {
  return deps.store.read(async (tx) =>
    loadTemplate(tx, presentTemplateId(await subjectEnvironment(tx, request))),
  );
}

async function act(
  tx: Tx,
  deps: Services,
  of: {
    readonly asked: Acting;
    readonly environment: Environment;
    readonly run: Omit<NewRun, "environment">;
    readonly asking: readonly Asking[];
  },
): Promise<Effected> {
  const { asked, environment } = of;
  const { data } = asked;
  const parallelism = "parallelism" in data ? data.parallelism : undefined;
  const run: Run = queuedRun(deps.limits, { ...of.run, environment, options: { parallelism } });
  const queued = await enqueue(tx, deps, {
    run,
    environmentName: environment.name,
    asking: of.asking,
  });
  return {
    status: "accepted",
    environmentId: environment.id,
    runId: run.id,
    data: toJson(data),
    events: [queued],
  };
}

/** Passing checks would call an environment ok whose last apply did not succeed. */
async function refuseUnmade(tx: Tx, environment: Environment): Promise<void> {
  if (environment.appliedGeneration === environment.generation) return;
  const active = environment.activeRun === null ? null : await tx.runs.get(environment.activeRun);
  const queue = await tx.runs.queue(environment.id);
  if ([...(active === null ? [] : [active]), ...queue].some((run) => isApply(run))) return;
  throw new GlasshouseError(
    "conflict",
    `What is wanted of environment ${environment.name} was not made yet, so there is nothing whole to validate: retry its last run, or update it.`,
  );
}
