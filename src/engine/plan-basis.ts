import type { Environment } from "../domain/environment.ts";
import type { PlanBasis, SavedPlan } from "../domain/plan.ts";
import { groupKey, type GroupRecord } from "../domain/record.ts";
import type { OwnedSecret } from "../domain/secret.ts";
import { comparable } from "../domain/value.ts";
import type { EngineDeps } from "./deps.ts";
import type { RunFacts } from "./run-cache.ts";

interface Present {
  readonly facts: RunFacts;
  readonly records: readonly GroupRecord[];
  readonly secrets: readonly OwnedSecret[];
  readonly environment: Pick<Environment, "generation">;
}

/** What a saved plan is bound to: generation, templates, parameters, and for every group its record and the serial of its state, for every secret its version. */
export function planBasis(
  deps: Pick<EngineDeps, "sealer">,
  { facts, records, secrets, environment }: Present,
): PlanBasis {
  const parameters = comparable(facts.parameters);
  const requires = comparable(facts.requires);
  return {
    generation: environment.generation,
    templateDigests: [facts.template.digest],
    parametersHmac: deps.sealer.fingerprint(`${parameters}\n${requires}`),
    groups: Object.fromEntries([
      ...records.map((record) => [groupKey(record.template, record.group), markOf(record)]),
      ...secrets.map(({ template, name, version }) => [
        `secret ${groupKey(template, name)}`,
        String(version),
      ]),
    ]),
  };
}

/** What has moved since the plan was made, in words; null when nothing has. */
export function staleness(
  deps: Pick<EngineDeps, "sealer">,
  of: Present & { readonly plan: SavedPlan },
): string | null {
  const now = planBasis(deps, of);
  const { basis } = of.plan;
  if (now.templateDigests.join() !== basis.templateDigests.join())
    return "the template's content has changed";
  if (now.parametersHmac !== basis.parametersHmac)
    return "parameters or required outputs have changed";
  const keys = [...new Set([...Object.keys(now.groups), ...Object.keys(basis.groups)])].sort();
  const moved = keys.filter((key) => now.groups[key] !== basis.groups[key]);
  return moved.length === 0
    ? null
    : `since it was made these have moved: ${moved.slice(0, 10).join(", ")}`;
}

function markOf(record: GroupRecord): string {
  return [
    record.status,
    record.fingerprint ?? "",
    record.appliedAt,
    record.drift === "unknown" ? "none" : record.drift,
  ].join("|");
}
