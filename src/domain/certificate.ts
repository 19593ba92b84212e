/** A certificate that a template declares: issued for each environment, renewed in time, revoked with it. */
export interface CertificateDeclaration {
  readonly description: string;
  /** The role of Vault's PKI engine that issues it. */
  readonly role: string;
  /** May hold expressions, and so may the alternative names. */
  readonly commonName: string;
  readonly altNames: readonly string[];
  readonly ttlMs: number;
  /** Another one is issued when this one has so little time left. */
  readonly renewBeforeMs: number;
  /** Groups whose outputs its names use. Sorted. */
  readonly inputs: readonly string[];
}

/** What is asked of an authority. Another certificate is issued when any of it is different. */
export interface CertificateWish {
  readonly role: string;
  readonly commonName: string;
  /** Host names, IP addresses and URIs, the common name among them where it is one. */
  readonly altNames: readonly string[];
  readonly ttlMs: number;
  readonly renewBeforeMs: number;
}

/** What is public of the certificate that an authority has issued. */
export interface IssuedFacts {
  /** As hexadecimal digits, without separators. */
  readonly serial: string;
  readonly issuer: string;
  readonly notBefore: string;
  readonly notAfter: string;
}

/** One that is known by its number, with the authority that can revoke it. */
export interface NumberedCertificate {
  readonly serial: string;
  readonly notAfter: string;
  readonly keeper: string;
  /** Where in the keeper's Vault it was issued, for one of a group; as the server is configured when left out. */
  readonly mount?: string;
}

export interface CertificateFacts extends IssuedFacts {
  readonly asked: CertificateWish;
  /** Present for that of a group whose executor issues it: the mount of the engine. Such a one is known by its group's name. */
  readonly ofGroup?: { readonly mount: string };
  /** Those before it that are not revoked yet: something may use them still. */
  readonly earlier: readonly NumberedCertificate[];
}

/** What expressions may name of one. `chain` begins with the certificate itself, as servers want it. */
export const certificateParts = ["certificate", "key", "chain", "ca"] as const;
export type CertificatePart = (typeof certificateParts)[number];
export type CertificateTexts = Readonly<Record<CertificatePart, string>>;

/** One is not issued more often than this by itself: every time, whatever uses it runs again. */
export const shortestUseMs = 3_600_000;

/** What an executor has issued for its group. */
export interface GroupCertificate extends IssuedFacts {
  readonly asked: CertificateWish;
  readonly keeper: string;
  /** Of the engine that can revoke it. */
  readonly mount: string;
}

/** `renewBefore` is this part of `ttl` where it is not said. */
export const certificateDefaults = { ttlMs: 30 * 86_400_000, renewBeforePart: 1 / 3 } as const;

/** Times as they are used: `renewBefore` is a part of `ttl` where it is not said. */
export function certificateTimes(said: {
  readonly ttlMs?: number | undefined;
  readonly renewBeforeMs?: number | undefined;
}): { readonly ttlMs: number; readonly renewBeforeMs: number } {
  const ttlMs = said.ttlMs ?? certificateDefaults.ttlMs;
  const part = Math.floor(ttlMs * certificateDefaults.renewBeforePart);
  return { ttlMs, renewBeforeMs: said.renewBeforeMs ?? part };
}
