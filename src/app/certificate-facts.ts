import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";
import { createSecureContext } from "node:tls";
import type { ShownCertificate } from "./certificate-source.ts";

/** What a certificate says, for people and for comparing. */
export interface CertificateFacts {
  /** Hexadecimal digits. */
  readonly serial: string;
  /** Names and addresses that it is for, or whom it names. */
  readonly names: string;
  readonly beginsAtMs: number;
  readonly endsAtMs: number;
}

/** Whom it is shown to. */
export type CertificateUse = "listen" | "store";

/** As extended key usages: to be shown by servers, and by clients. */
const usages = { listen: "1.3.6.1.5.5.7.3.1", store: "1.3.6.1.5.5.7.3.2" } as const;

/** Reads a certificate in PEM; the first when there are several. Null: it is none. */
export function certificateFacts(pem: string): CertificateFacts | null {
  const certificate = parsed(pem);
  return certificate === null ? null : factsOf(certificate);
}

/** Why nobody could be shown this, in words that begin a sentence; null when it will do. Whether it is over is not looked at. */
export function unusable(shown: ShownCertificate, use: CertificateUse): string | null {
  const certificate = parsed(shown.certificate);
  if (certificate === null) return "The certificate is none in PEM";
  const key = privateKey(shown.key);
  if (key === null) return "The key is none in PEM, or it has a passphrase";
  if (!certificate.checkPrivateKey(key))
    return "The key does not belong to the certificate (the first one of its file)";
  const extended = certificate.toLegacyObject().ext_key_usage;
  if (extended !== undefined && !extended.includes(usages[use]))
    return use === "listen"
      ? "The certificate is not for servers (extended key usage)"
      : "The certificate is not for clients (extended key usage)";
  return refusedByTls(shown);
}

/** How it stands with its time: `good`; `late`: it should have been replaced; `over`; `early`: it is not good yet. */
export function timeOf(
  { beginsAtMs, endsAtMs }: CertificateFacts,
  nowMs: number,
): "good" | "late" | "over" | "early" {
  if (nowMs < beginsAtMs) return "early";
  if (nowMs >= endsAtMs) return "over";
  const lateMs = Math.min(mostLateMs, (endsAtMs - beginsAtMs) * latePart);
  return endsAtMs - nowMs < lateMs ? "late" : "good";
}

/** What renews by itself does so with a third left, so with a quarter something is wrong; what people renew has two weeks. */
const latePart = 1 / 4;
const mostLateMs = 14 * 86_400_000;

function factsOf(certificate: X509Certificate): CertificateFacts {
  return {
    serial: certificate.serialNumber.toLowerCase(),
    names:
      certificate.subjectAltName?.replaceAll(/(?:DNS|IP Address):/gu, "") ??
      certificate.subject.replaceAll("\n", ", "),
    beginsAtMs: certificate.validFromDate.getTime(),
    endsAtMs: certificate.validToDate.getTime(),
  };
}

/** What a context of TLS says to it: a key that is too small, authorities that are no certificates. */
function refusedByTls({ certificate, key, authorities }: ShownCertificate): string | null {
  if (authorities !== null && parsed(authorities) === null)
    return "The file of authorities has no certificate in PEM";
  try {
    createSecureContext({
      cert: certificate,
      key,
      ...(authorities === null ? {} : { ca: authorities }),
    });
    return null;
  } catch (error) {
    return `TLS does not take it: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function parsed(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem);
  } catch {
    return null;
  }
}

function privateKey(pem: string): KeyObject | null {
  try {
    return createPrivateKey(pem);
  } catch {
    return null;
  }
}
