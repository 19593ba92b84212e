import { readFile } from "node:fs/promises";
import { HttpConnection } from "../clients/http/connection.ts";
import type { Remotes } from "../clients/resilience/remotes.ts";
import { KeptCertificate } from "../clients/vault/kept-certificate.ts";
import type { CertificateSubject } from "../clients/vault/pki.ts";
import { KeptLease } from "../clients/vault/kept-lease.ts";
import { VaultClient, vaultPolicy } from "../clients/vault/client.ts";
import type { VaultLogin } from "../clients/vault/login.ts";
import { VaultSession } from "../clients/vault/session.ts";
import type { Config } from "../contract/config.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/telemetry.ts";
import { resolveReference } from "./config-grants.ts";
import { serviceUrl, type NamedServices } from "./service-address.ts";

type Variables = Readonly<Record<string, string | undefined>>;

/** A Vault that is configured. */
export interface VaultParts {
  readonly client: VaultClient;
  readonly session: VaultSession;
  /** A leased secret that lives as long as the server. Nothing is asked before it is used. */
  readonly keepLease: (path: string) => KeptLease;
  /** The server's own certificate for one use, likewise. */
  readonly keepCertificate: (path: string, subject: CertificateSubject) => KeptCertificate;
  /** Gives back what was leased and ends the session. */
  readonly close: () => Promise<void>;
}

export const vaultAdvice =
  "Work that needs Vault pauses and goes on by itself. Look at Vault (is it sealed?), and at vault.address and how the server logs in.";
/** As many as steps may be worked on, and some. */
const connections = 64;
/** A start waits so long for Consul to say where Vault is. */
const firstAnswerMs = 3_000;

/** A client for the Vault that is configured, or null. Sends nothing. Errors: `invalid-configuration`. */
export async function vaultParts(
  { vault }: Pick<Config, "vault">,
  of: {
    readonly env: Variables;
    readonly remotes: Remotes;
    readonly clock: Pick<Clock, "now" | "monotonic" | "after">;
    readonly log: Log;
    readonly services: NamedServices;
  },
): Promise<VaultParts | null> {
  const { address, namespace = null, tls } = vault;
  if (address === undefined) return null;
  const ca =
    tls.ca === undefined ? null : await resolveReference("vault.tls.ca", `file:${tls.ca}`, of.env);
  const login = loginOf(vault, of.env);
  const calls = { ...vaultPolicy, kind: "vault", name: "vault", advice: vaultAdvice } as const;
  const client = new VaultClient({
    connection: await connectionTo(address, { ca, services: of.services }),
    calls: of.remotes.remote(calls),
    namespace,
  });
  return parts(client, { ...of, session: new VaultSession({ ...of, client, login }) });
}

function parts(
  client: VaultClient,
  of: {
    readonly session: VaultSession;
    readonly clock: Pick<Clock, "now" | "monotonic" | "after">;
    readonly log: Log;
  },
): VaultParts {
  const { session, clock, log } = of;
  const kept: KeptLease[] = [];
  const certificates: KeptCertificate[] = [];
  return {
    client,
    session,
    keepLease(path) {
      const lease = new KeptLease({ session, path, clock, log });
      kept.push(lease);
      return lease;
    },
    keepCertificate(path, subject) {
      const certificate = new KeptCertificate({ session, path, subject, clock, log });
      certificates.push(certificate);
      return certificate;
    },
    async close() {
      for (const certificate of certificates) certificate.close();
      await Promise.all(kept.map((lease) => lease.close()));
      await session.close();
    },
  };
}

/** To the address, or to an instance of the service that it names. */
async function connectionTo(
  address: string,
  { ca, services }: { readonly ca: string | null; readonly services: NamedServices },
): Promise<Pick<HttpConnection, "send" | "close">> {
  const connect = (url: string): HttpConnection =>
    new HttpConnection({
      url,
      name: "Vault",
      connections,
      ...(ca === null ? {} : { tls: { ca } }),
    });
  const named = serviceUrl("vault.address", address);
  if (named === null) return connect(address);
  const { ServiceConnection } = await import("../clients/consul/service-connection.ts");
  const { addresses } = await services.follow("vault.address", named.name, firstAnswerMs);
  return new ServiceConnection({
    name: "Vault",
    addresses,
    connect: (host) => connect(named.at([host])),
  });
}

function loginOf(vault: Config["vault"], env: Variables): VaultLogin {
  const { token, approle, kubernetes } = vault;
  const { roleId, secretId } = approle;
  const named = [
    ...(token === undefined ? [] : ["vault.token"]),
    ...(roleId === undefined && secretId === undefined ? [] : ["vault.approle"]),
    ...(kubernetes.role === undefined ? [] : ["vault.kubernetes.role"]),
  ];
  if (named.length !== 1)
    throw new GlasshouseError(
      "invalid-configuration",
      `With vault.address one way to log in is needed, vault.token, vault.approle or vault.kubernetes.role: ${named.length === 0 ? "there is none" : `there are ${named.join(" and ")}`}.`,
    );
  if (token !== undefined)
    return { kind: "token", token: () => resolveReference("vault.token", token, env) };
  if (kubernetes.role !== undefined) {
    const { mount, role, tokenFile } = kubernetes;
    return { kind: "kubernetes", mount, role, jwt: () => serviceAccountToken(tokenFile) };
  }
  if (roleId === undefined || secretId === undefined)
    throw new GlasshouseError("invalid-configuration", "vault.approle needs roleId and secretId.");
  const { mount, wrapped } = approle;
  return {
    kind: "approle",
    mount,
    wrapped,
    roleId: () => resolveReference("vault.approle.roleId", roleId, env),
    secretId: () => resolveReference("vault.approle.secretId", secretId, env),
  };
}

async function serviceAccountToken(file: string): Promise<string> {
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new GlasshouseError("unavailable", `The service account's token: ${reason}.`, { cause });
  }
}
