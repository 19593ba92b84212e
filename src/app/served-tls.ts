import { isIP } from "node:net";
import type { ServedTls } from "../api/http/api.ts";
import type { Config } from "../contract/config.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log, Metrics } from "../ports/telemetry.ts";
import { CertificateInUse } from "./certificate-in-use.ts";
import { certificateSource, type CertificateSource } from "./certificate-source.ts";
import type { VaultParts } from "./vault.ts";

interface Around {
  readonly vault: VaultParts | null;
  readonly clock: Clock;
  readonly log: Log;
}

/** Whether `listen` speaks TLS. */
export function servesTls({ tls }: Pick<Config, "tls">): boolean {
  return tls.certificate !== undefined || tls.key !== undefined || tls.issue !== undefined;
}

/** Where the server that is configured like this is called; null when it takes a port that only it knows. */
export function ownAddress(config: Pick<Config, "tls" | "listen">): string | null {
  const { listen } = config;
  return listen.endsWith(":0") ? null : `${servesTls(config) ? "https" : "http"}://${listen}`;
}

/** Where the certificate that is served comes from, or null without one. Errors: `invalid-configuration`. */
export function servedSource(
  config: Pick<Config, "tls">,
  around: Around,
): CertificateSource | null {
  const { tls } = config;
  const { names } = tls;
  if (!servesTls(config) && (tls.clientCa !== undefined || names.length > 0))
    throw wrong(
      `${tls.clientCa === undefined ? "tls.names" : "tls.clientCa"} is set, and no certificate that is served: set tls.certificate and tls.key, or tls.issue.`,
    );
  if (tls.issue !== undefined && names.length === 0)
    throw wrong(
      "tls.issue needs tls.names: the names and addresses that clients call the server by.",
    );
  const commonName = names.find((name) => isIP(name) === 0);
  const subject = { names, ...(commonName === undefined ? {} : { commonName }) };
  return certificateSource({ key: "tls", tls, subject, ...around });
}

/** The certificate that is served, kept up to date; null without one. Errors: those of `servedSource` and `CertificateInUse.open`. */
export async function openServedCertificate(
  config: Pick<Config, "tls">,
  around: Around & { readonly metrics: Metrics },
): Promise<CertificateInUse | null> {
  const source = servedSource(config, around);
  if (source === null) return null;
  return CertificateInUse.open({ use: "listen", key: "tls", source, ...around });
}

/** As the HTTP server takes it. */
export function servedTls(certificate: CertificateInUse): ServedTls {
  return {
    demandsClients: certificate.shown.authorities !== null,
    context() {
      const { certificate: cert, key, authorities } = certificate.shown;
      return { cert, key, ...(authorities === null ? {} : { ca: authorities }) };
    },
    watch: (fn) => certificate.watch(fn),
  };
}

function wrong(message: string): GlasshouseError {
  return new GlasshouseError("invalid-configuration", message);
}
