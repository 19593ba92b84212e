import type { PlannedStep } from "./plan.ts";
import type { Run } from "./run.ts";
import { isMade, type OwnedSecret } from "./secret.ts";
import { groupDefaults, type Group, type TemplateBody } from "./template.ts";

/** Which new versions are wanted of a template's secrets: a number each that rises with every wish. */
export function wantedRotations(
  { desired }: Pick<Run, "desired">,
  template: string,
): Readonly<Record<string, number>> {
  return desired.templates.find(({ name }) => name === template)?.rotations ?? {};
}

export interface SecretPlan {
  /** Steps that make values, to go before whatever uses them. */
  readonly steps: readonly PlannedStep[];
  /** The secrets whose value will be another one. */
  readonly making: ReadonlySet<string>;
}

/** What has to be made of a template's secrets: those that are not there yet, and those of which a new version is wanted. */
export function planSecrets(of: {
  readonly template: Pick<TemplateBody, "name" | "secrets">;
  readonly owned: readonly OwnedSecret[];
  readonly rotations: Readonly<Record<string, number>>;
}): SecretPlan {
  const { template, rotations } = of;
  const owned = new Map(
    of.owned
      .filter((secret) => secret.template === template.name && isMade(secret))
      .map((secret) => [secret.name, secret]),
  );
  const steps: PlannedStep[] = [];
  const making = new Set<string>();
  for (const name of Object.keys(template.secrets ?? {})) {
    const present = owned.get(name);
    const isWanted = present === undefined || (rotations[name] ?? 0) > present.rotation;
    if (!isWanted) continue;
    making.add(name);
    const action = present === undefined ? "create" : "update";
    const reason =
      present === undefined
        ? "new secret: its value is generated"
        : `a new version was asked for: version ${present.version + 1} is generated`;
    steps.push(secretStep({ template: template.name, name, action, reason, dependsOn: [] }));
  }
  return { steps, making };
}

/** The step's key, as groups that use the secret depend on it. */
export function secretStepKey(template: string, name: string): string {
  return `secret:${template}/${name}`;
}

/** The group's secrets of which a new value is made. */
export function movingSecrets(group: Group, making: ReadonlySet<string>): readonly string[] {
  return (group.secrets ?? []).filter((name) => making.has(name));
}

/** Takes these secrets away once nothing of the plan can need them any more. */
export function planSecretRemovals(
  going: readonly OwnedSecret[],
  before: readonly PlannedStep[],
  reason: string,
): readonly PlannedStep[] {
  const [first] = going;
  if (first === undefined) return [];
  const depended = new Set(before.flatMap((step) => step.dependsOn));
  // One that is unchanged and waits for nothing is over before the run begins.
  const last = before.filter(
    (step) => !depended.has(step.key) && (step.mark !== "unchanged" || step.dependsOn.length > 0),
  );
  const barrier: PlannedStep = {
    ...secretStep({ template: first.template, name: "", action: "destroy", reason, dependsOn: [] }),
    key: "barrier:released",
    phase: "barrier",
    executor: null,
    mark: "exact",
    reason: "secrets go after whatever used them",
    dependsOn: last.map(({ key }) => key),
    changes: [],
    input: null,
  };
  const dependsOn = last.length === 0 ? [] : [barrier.key];
  const removals = going.map(({ template, name }) =>
    secretStep({ template, name, action: "destroy", reason, dependsOn }),
  );
  return last.length === 0 ? removals : [barrier, ...removals];
}

function secretStep(of: {
  readonly template: string;
  readonly name: string;
  readonly action: "create" | "update" | "destroy";
  readonly reason: string;
  readonly dependsOn: readonly string[];
}): PlannedStep {
  const { template, name, action, reason, dependsOn } = of;
  return {
    key: secretStepKey(template, name),
    phase: "secret",
    template,
    group: null,
    executor: "secrets",
    mark: action === "destroy" ? "destroy" : "exact",
    reason,
    dependsOn,
    retry: groupDefaults.retry,
    timeoutMs: groupDefaults.commandTimeoutMs,
    onFailure: "stop",
    changes: [{ address: `secrets.${name}`, action }],
    input: { secret: name, remove: action === "destroy" },
  };
}
