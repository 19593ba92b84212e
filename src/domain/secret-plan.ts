import { GlasshouseError } from "./errors.ts";
import type { PlannedStep } from "./plan.ts";
import type { Run } from "./run.ts";
import { isMade, isOfGroup, type OwnedSecret, type SecretKind } from "./secret.ts";
import { groupDefaults, type Group, type TemplateBody } from "./template.ts";

/** Which new versions are wanted of what a template declares: a number each that rises with every wish. */
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
  const steps: PlannedStep[] = [];
  const making = new Set<string>();
  for (const name of Object.keys(template.secrets ?? {})) {
    const present = madeOf(of.owned, { template: template.name, name });
    const isWanted = present === undefined || (rotations[name] ?? 0) > present.rotation;
    if (!isWanted) continue;
    making.add(name);
    const action = present === undefined ? "create" : "update";
    const reason =
      present === undefined
        ? "new secret: its value is generated"
        : `a new version was asked for: version ${present.version + 1} is generated`;
    const named = { template: template.name, name, kind: "secret" } as const;
    steps.push(secretStep(named, { does: "make", action, reason, dependsOn: [] }));
  }
  return { steps, making };
}

/** The one with this name of which there is a version. */
export function madeOf(
  owned: readonly OwnedSecret[],
  of: { readonly template: string; readonly name: string },
): OwnedSecret | undefined {
  return owned.find((one) => one.template === of.template && one.name === of.name && isMade(one));
}

type Named = Pick<OwnedSecret, "template" | "name" | "kind">;

/** The step's key, as groups that use what it makes depend on it. */
export function secretStepKey({ template, name, kind }: Named): string {
  return `${kind}:${template}/${name}`;
}

/** What the template declares under this name. */
export function kindOf(template: Pick<TemplateBody, "certificates">, name: string): SecretKind {
  return Object.hasOwn(template.certificates ?? {}, name) ? "certificate" : "secret";
}

/** The group's secrets and certificates that will be others. */
export function movingSecrets(group: Group, making: ReadonlySet<string>): readonly string[] {
  return (group.secrets ?? []).filter((name) => making.has(name));
}

interface Belongings {
  readonly template: Pick<TemplateBody, "name" | "secrets" | "certificates" | "groups">;
  readonly secrets: readonly OwnedSecret[];
}

export interface SecretEnds {
  readonly going: readonly OwnedSecret[];
  /** Of these an earlier certificate is to be revoked. */
  readonly replaced: readonly OwnedSecret[];
}

/** The certificate of the template's group with this name. */
export function groupCertificate(
  { template, secrets }: Belongings,
  name: string,
): OwnedSecret | undefined {
  return secrets.find(
    (one) => one.template === template.name && one.name === name && isOfGroup(one),
  );
}

/**
 * What ends once everything else is made; `making` are the names of which this plan makes another, `changed` the groups that it
 * applies again. The certificate of a group goes with the group.
 */
export function endsOf({
  template,
  secrets,
  making,
  changed,
}: Belongings & {
  readonly making: ReadonlySet<string>;
  readonly changed: ReadonlySet<string>;
}): SecretEnds {
  const stays = (secret: OwnedSecret): boolean =>
    secret.template === template.name &&
    (isOfGroup(secret)
      ? template.groups[secret.name]?.certified === true
      : declaredKind(template, secret.name) !== null);
  return {
    going: secrets.filter((secret) => !stays(secret) && !isOfGroup(secret)),
    replaced: secrets.filter(
      (secret) => stays(secret) && isReplaced(secret, isOfGroup(secret) ? changed : making),
    ),
  };
}

/** Whether there will be a certificate that has another one after it, and is not revoked. */
function isReplaced(
  { name, kind, certificate }: OwnedSecret,
  making: ReadonlySet<string>,
): boolean {
  if (kind !== "certificate" || certificate === null) return false;
  return making.has(name) || certificate.earlier.length > 0;
}

function declaredKind(
  template: Pick<TemplateBody, "secrets" | "certificates">,
  name: string,
): SecretKind | null {
  if (Object.hasOwn(template.certificates ?? {}, name)) return "certificate";
  return Object.hasOwn(template.secrets ?? {}, name) ? "secret" : null;
}

/** What is there must go before something else can have its name, and it goes last. Errors: `conflict`. */
export function refuseOtherKinds({ template, secrets }: Belongings): void {
  for (const one of secrets.filter((secret) => secret.template === template.name)) {
    const { name } = one;
    const known = isOfGroup(one) ? groupWords : one.kind;
    const isCertified = template.groups[name]?.certified === true;
    const wanted = declaredKind(template, name) ?? (isCertified ? groupWords : null);
    if (wanted === null || wanted === known) continue;
    throw new GlasshouseError(
      "conflict",
      `The environment has a ${known} ${name}, and its template wants a ${wanted} of that name: give it another name.`,
    );
  }
}

const groupWords = "certificate of the group";

/** What is done once nothing of the plan can need it any more: what goes is taken away, what was replaced is revoked. */
export function planSecretEnds(
  ends: SecretEnds,
  before: readonly PlannedStep[],
  reason: string,
): readonly PlannedStep[] {
  const [first] = [...ends.going, ...ends.replaced];
  if (first === undefined) return [];
  const depended = new Set(before.flatMap((step) => step.dependsOn));
  // One that is unchanged and waits for nothing is over before the run begins.
  const last = before.filter(
    (step) => !depended.has(step.key) && (step.mark !== "unchanged" || step.dependsOn.length > 0),
  );
  const barrier: PlannedStep = {
    ...secretStep(first, { does: "remove", action: "destroy", reason, dependsOn: [] }),
    key: "barrier:released",
    phase: "barrier",
    executor: null,
    mark: "exact",
    reason: "secrets and certificates go after whatever used them",
    dependsOn: last.map(({ key }) => key),
    changes: [],
    input: null,
  };
  const dependsOn = last.length === 0 ? [] : [barrier.key];
  const steps = [
    ...ends.going.map((one) =>
      secretStep(one, { does: "remove", action: "destroy", reason, dependsOn }),
    ),
    ...ends.replaced.map((one) => revocation(one, dependsOn)),
  ];
  return last.length === 0 ? steps : [barrier, ...steps];
}

function revocation(of: Named, dependsOn: readonly string[]): PlannedStep {
  const reason = "the one before is revoked once whatever used it has the new one";
  const step = secretStep(of, { does: "revoke", action: "none", reason, dependsOn });
  return { ...step, key: `revoke:${of.template}/${of.name}` };
}

/** What a step of a secret or certificate is to do. */
export type SecretDeed = "make" | "remove" | "revoke";

export function secretStep(
  of: Named,
  what: {
    readonly does: SecretDeed;
    readonly action: "create" | "update" | "destroy" | "none";
    readonly reason: string;
    readonly dependsOn: readonly string[];
  },
): PlannedStep {
  const { template, name, kind } = of;
  const { does, action, reason, dependsOn } = what;
  return {
    key: secretStepKey(of),
    phase: kind,
    template,
    group: null,
    executor: `${kind}s`,
    mark: does === "remove" ? "destroy" : "exact",
    reason,
    dependsOn,
    retry: groupDefaults.retry,
    timeoutMs: groupDefaults.commandTimeoutMs,
    onFailure: "stop",
    changes: action === "none" ? [] : [{ address: `${kind}s.${name}`, action }],
    input: {
      secret: name,
      remove: does === "remove",
      ...(does === "revoke" ? { revoke: true } : {}),
    },
  };
}
