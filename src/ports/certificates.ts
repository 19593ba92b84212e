import type { CertificateWish, IssuedFacts, NumberedCertificate } from "../domain/certificate.ts";
import type { SealedSecret } from "./repositories.ts";
import type { MadeSecret, SecretPlace } from "./secrets.ts";

/** A version of a declared certificate that is to be issued. */
export interface CertificateOrder extends SecretPlace {
  readonly wish: CertificateWish;
  /** From 1; one more than the newest that is known. */
  readonly version: number;
  /** The newest version that this authority's keeper has for the place, or null. */
  readonly previous: SealedSecret | null;
  readonly signal: AbortSignal;
}

/** What is stored of one that was issued, and what is public of it: never the key in plain. */
export interface IssuedCertificate {
  readonly made: MadeSecret;
  readonly facts: IssuedFacts;
}

/** What somebody needs who is to trust what an authority has issued. */
export interface AuthorityView {
  readonly name: string;
  /** Its certificates in PEM, the root last. */
  readonly certificate: string;
  /** Which of its certificates are revoked, in PEM. */
  readonly revocations: string;
}

/**
 * Who issues certificates. What `issue` gives is recorded in the transaction that ends its step; until then nobody has seen
 * it. Errors: `unavailable` and other transient ones while the authority cannot be reached.
 */
export interface CertificateAuthority {
  /** That of the `SecretKeeper` which opens what it has issued. */
  readonly name: string;
  /** It acts before what it did is recorded: that something may be there is recorded first. */
  readonly isOutside: boolean;
  /**
   * Issues the version, or finds it issued: asked again for a place, version and wish, also after a kill, it leaves one that
   * is good; what else it had issued is revoked, or was never to be had.
   */
  issue(order: CertificateOrder): Promise<IssuedCertificate>;
  /** Safe to repeat. What it does not know any more is no error. */
  revoke(certificates: readonly NumberedCertificate[], signal: AbortSignal): Promise<void>;
  /**
   * Revokes all that was ever issued for the place, these and what nobody heard of, and takes the place away. Safe to repeat.
   */
  remove(
    place: SecretPlace,
    of: { readonly issued: readonly NumberedCertificate[]; readonly signal: AbortSignal },
  ): Promise<void>;
  /** Null for one that has issued nothing, and is there only for what it did before. */
  view(signal: AbortSignal): Promise<AuthorityView | null>;
}
