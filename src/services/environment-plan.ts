import type { SavedPlan } from "../domain/plan.ts";
import { withParameters } from "./command-body.ts";
import type { Services } from "./deps.ts";
import { changeDesired, loadVersions } from "./desired-change.ts";
import type { Asked, Effect } from "./effect.ts";
import { refuseWhileDestroying, subjectEnvironment } from "./environment-find.ts";
import { putSecrets } from "./parameters.ts";
import { enqueue, queuedRun } from "./queue.ts";

/**
 * Asks for a plan of what an update with the same wishes would do. It changes nothing that is wanted, holds no queue, and
 * its result is kept until it expires.
 */
export async function preparePlan(
  deps: Services,
  asked: Asked<"environment.plan">,
): Promise<Effect> {
  const { request, data } = asked;
  const versions = await deps.store.read((tx) => loadVersions(tx, request, data));
  const ids = { run: deps.clock.id("run"), plan: deps.clock.id("plan") };
  return async (tx, now) => {
    const environment = await subjectEnvironment(tx, request);
    refuseWhileDestroying(environment, "planned");
    const change = await changeDesired(tx, deps, { environment, versions, wish: data, now });
    const { desired } = change;
    await putSecrets(tx, change.kept.secrets);
    const run = queuedRun({
      id: ids.run,
      environment: { ...environment, desired },
      kind: "plan",
      planId: ids.plan,
      now,
      options: data,
    });
    const queued = await enqueue(tx, deps, { run, environmentName: environment.name });
    const plan: SavedPlan = {
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
    await tx.plans.insert(plan);
    return {
      status: "accepted",
      environmentId: environment.id,
      templateId: versions.target.id,
      runId: run.id,
      planId: plan.id,
      data: withParameters(data, change.kept.named),
      events: [queued],
    };
  };
}
