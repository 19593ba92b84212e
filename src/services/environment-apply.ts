import type { Environment } from "../domain/environment.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { PlannedStep, SavedPlan } from "../domain/plan.ts";
import { groupKey } from "../domain/record.ts";
import { exclusiveKinds, type Run } from "../domain/run.ts";
import type { Template } from "../domain/template.ts";
import { toJson } from "../lib/json.ts";
import type { Tx } from "../ports/store.ts";
import { askingOfChecks, askingOfSteps } from "./asking.ts";
import type { Services } from "./deps.ts";
import { Moved, type Asked, type CommandRequest, type Effect } from "./effect.ts";
import { refuseTaken } from "./environment-create.ts";
import { refuseWhileDestroying, subjectEnvironment } from "./environment-find.ts";
import { plannedDestruction } from "./lifetime.ts";
import { environmentEvent } from "./environment-update.ts";
import { enqueue, queuedRun } from "./queue.ts";
import { resolveRequirements } from "./requirements.ts";
import { loadTemplate } from "./template-choice.ts";

/**
 * Applies a saved plan exactly, once. Errors: `not-found`, `conflict` (not ready, applied before, others under way),
 * `plan-expired`, `plan-stale` naming what moved. The engine looks once more when the run starts.
 */
export async function prepareApply(
  deps: Services,
  { request, data }: Asked<"environment.apply">,
): Promise<Effect> {
  const seen = await deps.store.read(async (tx) => {
    const plan = await findPlan(tx, data.plan);
    const template = await loadTemplate(tx, plan.desired.templates[0]?.templateId ?? "");
    return { template };
  });
  const runId = deps.clock.id("run");
  return async (tx, now) => {
    const plan = await findPlan(tx, data.plan);
    const environment = await planEnvironment(tx, request, plan);
    refuseWhileDestroying(environment, "changed");
    refuseUnready(plan, now);
    await refuseStale(tx, plan, environment);
    await refuseOvertaken(tx, environment, plan);
    if (plan.desired.templates[0]?.templateId !== seen.template.id) throw new Moved();
    const { parameters } = plan.desired.templates[0];
    const required = await resolveRequirements(tx, {
      environment,
      body: seen.template.body,
      parameters,
    });
    if (environment.prospective) await refuseTaken(tx, environment.name);
    const patch = {
      ...(environment.prospective ? birth(seen.template, now) : {}),
      desired: plan.desired,
      generation: environment.generation + 1,
      requires: [...new Set([...environment.requires, ...required])],
      status: "deploying",
      reason: `plan ${plan.id} is queued`,
      failure: null,
      updatedAt: now,
    } as const;
    const after: Environment = { ...environment, ...patch };
    await tx.environments.update(environment.id, patch);
    await tx.plans.update(plan.id, { status: "applied" });
    const run = queuedRun(deps.limits, {
      id: runId,
      environment: after,
      kind: plan.kind === "create" ? "create" : "update",
      planId: plan.id,
      now,
      options: data,
    });
    const queued = await enqueue(tx, deps, {
      run,
      environmentName: environment.name,
      asking: [...askingOfSteps(plannedSteps(plan)), ...askingOfChecks(seen.template.body)],
    });
    return {
      status: "accepted",
      environmentId: environment.id,
      templateId: seen.template.id,
      runId: run.id,
      planId: plan.id,
      data: toJson(data),
      events: [environmentEvent("environment.deploying", after), queued],
    };
  };
}

/** What the plan is sure to run: unchanged groups start nothing. */
function plannedSteps({ plan }: SavedPlan): readonly PlannedStep[] {
  return plan?.steps.filter(({ mark }) => mark !== "unchanged") ?? [];
}

/** What was only planned becomes an environment: from now on it has its name and its time. */
function birth(
  { body }: Template,
  now: string,
): Pick<Environment, "prospective" | "createdAt" | "plannedDestructionAt"> {
  const { lifetime } = body;
  const plannedDestructionAt = plannedDestruction({
    ttl: undefined,
    lifetime,
    createdAt: now,
    now,
  });
  return { prospective: false, createdAt: now, plannedDestructionAt };
}

/** Errors: `not-found`. */
export async function findPlan(tx: Tx, id: string): Promise<SavedPlan> {
  const plan = await tx.plans.get(id);
  if (plan !== null) return plan;
  throw new GlasshouseError(
    "not-found",
    `There is no plan ${id}: check the id that \`glasshouse env plan\` gave, or make a new plan.`,
  );
}

/** The subject may be left out, as the plan knows its environment. */
async function planEnvironment(
  tx: Tx,
  request: CommandRequest,
  plan: SavedPlan,
): Promise<Environment> {
  const own = await tx.environments.get(plan.environmentId);
  // What is only planned holds no name yet, so its name would not lead to it.
  const named = own?.prospective === true && request.subject === own.name;
  const environment = await subjectEnvironment(tx, {
    ...request,
    subject: named ? plan.environmentId : (request.subject ?? plan.environmentId),
  });
  if (environment.id === plan.environmentId) return environment;
  throw new GlasshouseError(
    "conflict",
    `Plan ${plan.id} was made for environment ${plan.environmentId}, not for ${environment.name} (${environment.id}).`,
  );
}

function refuseUnready(plan: SavedPlan, now: string): void {
  const advice = "make a new plan";
  switch (plan.status) {
    case "making":
      throw new GlasshouseError(
        "conflict",
        `Plan ${plan.id} is still being made by run ${plan.runId}: wait until it is ready.`,
      );
    case "failed":
      throw new GlasshouseError(
        "conflict",
        `Plan ${plan.id} could not be made (run ${plan.runId} says why): ${advice}.`,
      );
    case "applied":
      throw new GlasshouseError("conflict", `Plan ${plan.id} was applied already: ${advice}.`);
    case "stale":
      throw new GlasshouseError("plan-stale", `Plan ${plan.id} is stale: ${advice}.`);
    case "ready":
      if (now < plan.expiresAt) return;
      throw new GlasshouseError(
        "plan-expired",
        `Plan ${plan.id} expired at ${plan.expiresAt}: ${advice}.`,
      );
  }
}

/** What can be told here; secrets, settings and states are compared when the run starts. */
async function refuseStale(tx: Tx, plan: SavedPlan, environment: Environment): Promise<void> {
  const moved: string[] = [];
  const { basis } = plan;
  if (basis.generation !== environment.generation) {
    moved.push(
      `what is wanted of ${environment.name} has changed (generation ${basis.generation}, now ${environment.generation})`,
    );
  }
  for (const [index, { templateId, name, version }] of plan.desired.templates.entries()) {
    const template = await tx.templates.summary(templateId);
    if (template?.digest !== basis.templateDigests[index])
      moved.push(`the content of template ${name}@${version} has changed`);
  }
  const records = await tx.records.list(environment.id);
  const present = new Set(records.map((record) => groupKey(record.template, record.group)));
  const known = Object.keys(basis.groups);
  const came = [...present].filter((key) => !Object.hasOwn(basis.groups, key));
  const went = known.filter((key) => !present.has(key));
  const groups = [...came, ...went].toSorted().slice(0, 10);
  if (groups.length > 0) moved.push(`groups came or went: ${groups.join(", ")}`);
  if (moved.length === 0) return;
  throw new GlasshouseError(
    "plan-stale",
    `Plan ${plan.id} cannot be applied: ${moved.join("; ")}. Make a new plan.`,
  );
}

/** Whatever is under way or goes first would make the plan stale before its turn comes. */
async function refuseOvertaken(tx: Tx, environment: Environment, plan: SavedPlan): Promise<void> {
  const active = environment.activeRun === null ? null : await tx.runs.get(environment.activeRun);
  const queue = await tx.runs.queue(environment.id);
  const other = [...(active === null ? [] : [active]), ...queue].find(changes);
  if (other === undefined) return;
  throw new GlasshouseError(
    "conflict",
    `Run ${other.id} (${other.kind}, ${other.status}) of ${environment.name} comes before plan ${plan.id}: wait for its end, then make a new plan.`,
  );
}

function changes(run: Run): boolean {
  return exclusiveKinds.includes(run.kind) && run.kind !== "validate";
}
