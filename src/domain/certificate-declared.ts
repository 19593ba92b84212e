import { wishOfNames } from "./certificate-wish.ts";
import type { CertificateDeclaration, CertificatePart, CertificateWish } from "./certificate.ts";
import { evaluate, type Scope } from "./expression.ts";
import { isMade, isOfGroup, type OwnedSecret } from "./secret.ts";
import type { SecretRef } from "./value.ts";

/** What expressions see of an environment's certificates: for each its parts, by reference. */
export function certificateScope(
  owned: readonly OwnedSecret[],
  template: string,
): Readonly<Record<string, Readonly<Record<CertificatePart, SecretRef>>>> {
  const own = owned.filter(
    (one) =>
      one.kind === "certificate" && one.template === template && isMade(one) && !isOfGroup(one),
  );
  return Object.fromEntries(own.map((one) => [one.name, partsOf(one)]));
}

function partsOf({
  secretId,
  fingerprint,
}: OwnedSecret): Readonly<Record<CertificatePart, SecretRef>> {
  const part = (name: CertificatePart): SecretRef => ({
    $secret: secretId,
    part: name,
    fingerprint: `${fingerprint}#${name}`,
  });
  return {
    certificate: part("certificate"),
    key: part("key"),
    chain: part("chain"),
    ca: part("ca"),
  };
}

/**
 * What a declaration asks for now that what its names use is known. Errors: `step-failed` for a name that no certificate can
 * bear, or that cannot be told.
 */
export function certificateWish(
  name: string,
  declaration: CertificateDeclaration,
  scope: Scope,
): CertificateWish {
  return wishOfNames(name, {
    ...declaration,
    commonName: evaluate(declaration.commonName, scope),
    altNames: declaration.altNames.map((text) => evaluate(text, scope)),
  });
}
