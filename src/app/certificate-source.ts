import type { KeptCertificate, OwnCertificate } from "../clients/vault/kept-certificate.ts";
import type { CertificateSubject } from "../clients/vault/pki.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/telemetry.ts";
import { resolveReference } from "./config-grants.ts";
import { watchCredentials } from "./credential-watch.ts";
import type { VaultParts } from "./vault.ts";

/** A section such as `store.tls`: files, or where Vault issues. */
export interface CertificateSection {
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
  readonly issue?: string | undefined;
  readonly clientCa?: string | undefined;
}

/** What is shown to others, and in PEM whom others must be from; null: that is not asked. */
export interface ShownCertificate extends OwnCertificate {
  readonly authorities: string | null;
}

/** Where a certificate of the server's own comes from, again and again. */
export interface CertificateSource {
  /** As it is now. Errors: `invalid-configuration` for files that cannot be read, those of Vault. */
  current(): Promise<ShownCertificate>;
  /** Calls `fn` when there may be another one. The returned function ends it. */
  watch(fn: () => void): () => void;
  /** What `current` gives will not do, and that of before is good for so long. */
  refused(leftMs: number): void;
  /** Why another one cannot be had although it is time; null when all is well. */
  problem(): string | null;
}

interface SourceOptions {
  /** The section's own name, for messages. */
  readonly key: string;
  readonly tls: CertificateSection;
  /** For whom Vault issues it. */
  readonly subject: CertificateSubject;
  readonly vault: VaultParts | null;
}

/** Null where the section names no certificate. Reads nothing yet. Errors: `invalid-configuration`. */
export function certificateSource(
  of: SourceOptions & { readonly clock: Clock; readonly log: Log },
): CertificateSource | null {
  const { key, tls, clock, log } = of;
  const issued = issuedCertificate(of);
  if (issued === null && !hasFiles(key, tls)) return null;
  const file = (name: "certificate" | "key" | "clientCa") => read(`${key}.${name}`, tls[name]);
  const fromFiles = async (): Promise<Omit<ShownCertificate, "authorities">> => ({
    certificate: (await file("certificate")) ?? "",
    key: (await file("key")) ?? "",
  });
  const current = async (): Promise<ShownCertificate> => ({
    ...(await (issued === null ? fromFiles() : issued.current())),
    authorities: await file("clientCa"),
  });
  // Also that they cannot be read is a change: somebody wants to hear of it.
  const look = (): Promise<unknown> => current().catch(String);
  return {
    current,
    watch(changed) {
      const ends = [
        issued?.watch(changed),
        ...(issued === null || tls.clientCa !== undefined
          ? [watchCredentials({ read: look, changed, clock, log })]
          : []),
      ];
      return () => {
        for (const end of ends) end?.();
      };
    },
    refused: (leftMs) => issued?.refused(leftMs),
    problem: () => issued?.problem ?? null,
  };
}

/** The certificate that `issue` of a section stands for, or null. Errors: `invalid-configuration`. */
export function issuedCertificate({
  key,
  tls,
  subject,
  vault,
}: SourceOptions): KeptCertificate | null {
  if (tls.issue === undefined) return null;
  if (tls.certificate !== undefined || tls.key !== undefined)
    throw wrong(
      `${key}.issue gives certificate and key: leave ${key}.certificate and ${key}.key out, or ${key}.issue.`,
    );
  if (vault === null) throw wrong(`${key}.issue is in Vault: it needs vault.address.`);
  return vault.keepCertificate(tls.issue.slice("vault:".length), subject);
}

function hasFiles(section: string, { certificate, key }: CertificateSection): boolean {
  if (certificate === undefined && key === undefined) return false;
  if (certificate !== undefined && key !== undefined) return true;
  const [given, missing] =
    certificate === undefined ? ["key", "certificate"] : ["certificate", "key"];
  throw wrong(
    `${section}.${given} is set and ${section}.${missing} is not: a certificate is shown with its key. Set both, or neither.`,
  );
}

async function read(name: string, path: string | undefined): Promise<string | null> {
  return path === undefined ? null : resolveReference(name, `file:${path}`, {});
}

function wrong(message: string): GlasshouseError {
  return new GlasshouseError("invalid-configuration", message);
}
