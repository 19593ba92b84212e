import type { SavedPlan } from "../domain/plan.ts";
import type { Reads } from "./deps.ts";
import { findPlan } from "./environment-apply.ts";

export interface PlanRead {
  readonly plan: SavedPlan;
  readonly environmentName: string;
}

/** Errors: `not-found`. */
export async function getPlan(deps: Reads, id: string): Promise<PlanRead> {
  return deps.store.read(async (tx) => {
    const plan = await findPlan(tx, id);
    const environment = await tx.environments.get(plan.environmentId);
    return { plan, environmentName: environment?.name ?? plan.environmentId };
  });
}
