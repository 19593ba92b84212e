import { X509Certificate } from "node:crypto";
import type { AuthorityView, CertificateAuthority } from "../ports/certificates.ts";

export interface AuthorityDeps {
  readonly authorities: readonly CertificateAuthority[];
}

export interface AuthorityRead extends AuthorityView {
  readonly subject: string;
  readonly sha256: string;
  readonly notAfter: string;
}

const limitMs = 10_000;

/** Those that issue certificates, or have issued some. Errors: `unavailable` while one cannot be reached. */
export async function listAuthorities({
  authorities,
}: AuthorityDeps): Promise<readonly AuthorityRead[]> {
  const signal = AbortSignal.timeout(limitMs);
  const views = await Promise.all(authorities.map((authority) => authority.view(signal)));
  return views.flatMap((view) => (view === null ? [] : [readOf(view)]));
}

function readOf(view: AuthorityView): AuthorityRead {
  const [root = ""] = view.certificate.split(/(?=-----BEGIN CERTIFICATE-----)/u).slice(-1);
  const { subject, fingerprint256, validToDate } = new X509Certificate(root);
  return {
    ...view,
    subject: subject.replaceAll("\n", ", "),
    sha256: fingerprint256,
    notAfter: validToDate.toISOString(),
  };
}
