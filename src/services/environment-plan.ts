import { isLiving, type Environment } from "../domain/environment.ts";
import { isId } from "../domain/id.ts";
import type { SavedPlan } from "../domain/plan.ts";
import type { Template } from "../domain/template.ts";
import type { Tx } from "../ports/store.ts";
import { askingOfPlan } from "./asking.ts";
import { withParameters } from "./command-body.ts";
import type { Services } from "./deps.ts";
import { changeDesired, loadVersions, type Versions } from "./desired-change.ts";
import type { Asked, Effect, Effected } from "./effect.ts";
import {
  prospectiveEnvironment,
  refuseBadName,
  refuseTaken,
  sameTemplate,
  templateOf,
} from "./environment-create.ts";
import { refuseWhileDestroying, subjectEnvironment } from "./environment-find.ts";
import { putSecrets } from "./parameters.ts";
import { enqueue, queuedRun } from "./queue.ts";
import { chooseTemplate } from "./template-choice.ts";

/**
 * Asks for a plan of what a create or an update with the same wishes would do. It changes nothing that is wanted, holds no
 * queue, and its result is kept until it expires.
 */
export async function preparePlan(
  deps: Services,
  asked: Asked<"environment.plan">,
): Promise<Effect> {
  const { request, data } = asked;
  const ids = { run: deps.clock.id("run"), plan: deps.clock.id("plan") };
  const name = await newName(deps, asked);
  if (name !== null) return planCreate(deps, asked, { ...ids, name });
  const versions = await deps.store.read((tx) => loadVersions(tx, request, data));
  return async (tx, now) => {
    const environment = await subjectEnvironment(tx, request);
    refuseWhileDestroying(environment, "planned");
    return plan(tx, deps, { asked, environment, versions, ids, now });
  };
}

/** The name of an environment that does not live yet, when a template says what it would be; else null. */
async function newName(
  deps: Services,
  { request, data }: Asked<"environment.plan">,
): Promise<string | null> {
  const name = request.subject;
  if (name === null || isId("environment", name) || templateOf(data) === "") return null;
  const present = await deps.store.read((tx) => tx.environments.find(name));
  return present === null || !isLiving(present) ? name : null;
}

/** The environment that the plan is about is kept with it, in no list, until the plan is applied. */
async function planCreate(
  deps: Services,
  asked: Asked<"environment.plan">,
  ids: Ids & { readonly name: string },
): Promise<Effect> {
  refuseBadName(ids.name, "/subject");
  const template: Template = await deps.store.read((tx) =>
    chooseTemplate(tx, templateOf(asked.data)),
  );
  const id = deps.clock.id("environment");
  return async (tx, now) => {
    await refuseTaken(tx, ids.name);
    await sameTemplate(tx, template);
    const environment = prospectiveEnvironment({ id, name: ids.name, template, now });
    await tx.environments.insert(environment);
    const versions = { environmentId: id, present: template, target: template };
    return plan(tx, deps, { asked, environment, versions, ids, now });
  };
}

interface Ids {
  readonly run: string;
  readonly plan: string;
}

interface Planning {
  readonly asked: Asked<"environment.plan">;
  readonly environment: Environment;
  readonly versions: Versions;
  readonly ids: Ids;
  readonly now: string;
}

async function plan(tx: Tx, deps: Services, of: Planning): Promise<Effected> {
  const { asked, environment, versions, ids, now } = of;
  const { data } = asked;
  const change = await changeDesired(tx, deps, { environment, versions, wish: data, now });
  const { desired } = change;
  await putSecrets(tx, change.kept.secrets);
  const run = queuedRun(deps.limits, {
    id: ids.run,
    environment: { ...environment, desired },
    kind: "plan",
    planId: ids.plan,
    now,
    options: data,
  });
  const queued = await enqueue(tx, deps, {
    run,
    environmentName: environment.name,
    asking: await askingOfPlan(tx, {
      environmentId: environment.id,
      body: versions.target.body,
      executors: deps.executors,
    }),
  });
  const saved: SavedPlan = {
    id: ids.plan,
    environmentId: environment.id,
    runId: run.id,
    kind: environment.appliedGeneration === 0 ? "create" : "update",
    status: "making",
    desired,
    basis: {
      generation: environment.generation,
      templateDigests: [versions.target.digest],
      parametersHmac: "",
      groups: {},
    },
    plan: null,
    createdAt: now,
    expiresAt: new Date(Date.parse(now) + deps.limits.planLifetimeMs).toISOString(),
  };
  await tx.plans.insert(saved);
  return {
    status: "accepted",
    environmentId: environment.id,
    templateId: versions.target.id,
    runId: run.id,
    planId: saved.id,
    data: withParameters(data, change.kept.named),
    events: [queued],
  };
}
