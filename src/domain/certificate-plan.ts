import { certificateWish } from "./certificate-declared.ts";
import { isSameWish } from "./certificate-wish.ts";
import type { Scope } from "./expression.ts";
import type { PlannedStep } from "./plan.ts";
import { groupKey } from "./record.ts";
import type { OwnedSecret } from "./secret.ts";
import { madeOf, secretStep } from "./secret-plan.ts";
import type { TemplateBody } from "./template.ts";

export interface CertificatePlanning {
  readonly template: Pick<TemplateBody, "name" | "certificates">;
  readonly owned: readonly OwnedSecret[];
  readonly rotations: Readonly<Record<string, number>>;
  readonly scope: Scope;
  /** Groups whose outputs this plan may change. */
  readonly changed: ReadonlySet<string>;
  /** Groups that have a step which is waited for. */
  readonly live: ReadonlySet<string>;
  /** Those for which this plan issues another certificate, or may: they are added here. */
  readonly making: Set<string>;
}

/**
 * The steps that issue certificates, asked for by name as groups come up in order: what a certificate's names use has been
 * judged by then. Each is given once.
 */
export function certificateSteps(
  planning: CertificatePlanning,
): (names: readonly string[]) => readonly PlannedStep[] {
  const judged = new Set<string>();
  return (names) =>
    names.flatMap((name) => {
      if (judged.has(name)) return [];
      judged.add(name);
      const step = planCertificate(planning, name);
      if (step !== null) planning.making.add(name);
      return step === null ? [] : [step];
    });
}

function planCertificate(planning: CertificatePlanning, name: string): PlannedStep | null {
  const { template, live } = planning;
  const declaration = template.certificates?.[name];
  if (declaration === undefined) return null;
  const present = madeOf(planning.owned, { template: template.name, name });
  const moving = declaration.inputs.filter((group) => planning.changed.has(group));
  const reason = reasonOf(planning, { name, present, moving });
  if (reason === null) return null;
  const dependsOn = declaration.inputs
    .filter((group) => live.has(group))
    .map((group) => `apply:${groupKey(template.name, group)}`);
  const of = { template: template.name, name, kind: "certificate" } as const;
  const action = present === undefined ? "create" : "update";
  const step = secretStep(of, { does: "make", action, reason, dependsOn });
  return moving.length === 0 ? step : { ...step, mark: "deferred" };
}

/** Why another one is issued; null when the one that is there is right. */
function reasonOf(
  planning: CertificatePlanning,
  of: {
    readonly name: string;
    readonly present: OwnedSecret | undefined;
    readonly moving: readonly string[];
  },
): string | null {
  const { name, present, moving } = of;
  const uses = `its names use outputs of ${moving.slice(0, 3).join(", ")}`;
  if (present === undefined)
    return moving.length === 0 ? "new certificate: it is issued" : `new certificate; ${uses}`;
  if ((planning.rotations[name] ?? 0) > present.rotation)
    return `a new one was asked for: version ${present.version + 1} is issued`;
  if (moving.length > 0) return `${uses}, which this changes: another is issued if they differ`;
  const declaration = planning.template.certificates?.[name];
  const asked = present.certificate?.asked;
  if (declaration === undefined) return null;
  const wish = certificateWish(name, declaration, planning.scope);
  if (asked !== undefined && isSameWish(asked, wish)) return null;
  return `it asks for something else now: version ${present.version + 1} is issued`;
}
