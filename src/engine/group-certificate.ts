import type { CertificateFacts, GroupCertificate } from "../domain/certificate.ts";
import { renewalOf } from "../domain/certificate-wish.ts";
import { isOfGroup, numberedOf, type OwnedSecret } from "../domain/secret.ts";
import type { Tx } from "../ports/store.ts";

interface Place {
  readonly environmentId: string;
  readonly template: string;
  /** Its name is that of its certificate. */
  readonly group: string;
}

/**
 * Writes down which certificate a group has after an apply: shown, renewed in time and counted as those that templates declare. The one
 * before is kept among the earlier ones, until a step at the end of the run revokes it.
 */
export async function recordGroupCertificate(
  tx: Tx,
  { environmentId, template, group }: Place,
  of: {
    readonly certificate: GroupCertificate;
    readonly rotation: number;
    readonly now: string;
  },
): Promise<void> {
  const { certificate, now } = of;
  const { keeper, asked } = certificate;
  const owned = await tx.ownedSecrets.get(environmentId, template, group);
  const isSame = owned?.certificate?.serial === certificate.serial;
  await tx.ownedSecrets.put({
    environmentId,
    template,
    name: group,
    kind: "certificate",
    version: (owned?.version ?? 0) + (isSame ? 0 : 1),
    rotation: Math.max(owned?.rotation ?? 0, of.rotation),
    // Its parts are in Vault, for programs that read them there: nothing of it is kept here.
    secretId: "",
    fingerprint: "",
    keeper,
    createdAt: owned?.createdAt ?? now,
    rotatedAt: isSame ? owned.rotatedAt : now,
    rotateAt: renewalOf(certificate, asked),
    certificate: factsOf(certificate, owned, now),
  });
}

function factsOf(
  { keeper: _keeper, mount, ...issued }: GroupCertificate,
  owned: OwnedSecret | null,
  now: string,
): CertificateFacts {
  const before = (owned === null ? [] : numberedOf(owned)).filter(
    ({ serial, notAfter }) => serial !== issued.serial && notAfter > now,
  );
  return { ...issued, ofGroup: { mount }, earlier: before };
}

/** The group is destroyed, and its certificate with it. */
export async function forgetGroupCertificate(
  tx: Tx,
  { environmentId, template, group }: Place,
): Promise<void> {
  const owned = await tx.ownedSecrets.get(environmentId, template, group);
  if (owned !== null && isOfGroup(owned))
    await tx.ownedSecrets.remove(environmentId, template, group);
}
