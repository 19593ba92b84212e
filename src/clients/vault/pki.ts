import { isIP } from "node:net";
import { z } from "zod";
import { GlasshouseError } from "../../domain/errors.ts";
import type { VaultSession } from "./session.ts";

/** A PKI engine of Vault, by its mount. */
export interface PkiOptions {
  readonly mount: string;
  readonly signal?: AbortSignal | undefined;
}

/** The kind of key that a role signs for. */
export interface PkiRole {
  readonly keyType: string;
  readonly keyBits: number;
}

const roleSchema = z.object({ data: z.object({ key_type: z.string(), key_bits: z.int() }) });

/** Errors: `not-found` when there is no such role, or no such engine; those of the session. */
export async function readRole(
  session: VaultSession,
  role: string,
  { mount, signal }: PkiOptions,
): Promise<PkiRole> {
  const path = `${mount}/roles/${encodeURIComponent(role)}`;
  const answer = await session.call({
    method: "GET",
    path,
    repeatable: true,
    expected: [404],
    signal,
  });
  if (answer.status === 404)
    throw new GlasshouseError(
      "not-found",
      `Vault has no role ${role} in a PKI engine at ${mount}: make it there (vault write ${path} …), or name another one in the template.`,
    );
  const { data } = roleSchema.parse(JSON.parse(answer.body.toString("utf8")));
  return { keyType: data.key_type, keyBits: data.key_bits };
}

export interface SignedCertificate {
  readonly certificate: string;
  readonly issuer: string;
  /** From the issuer up; empty where the engine gives none. */
  readonly chain: readonly string[];
}

const signedSchema = z.object({
  data: z.object({
    certificate: z.string().min(1),
    issuing_ca: z.string(),
    ca_chain: z.array(z.string()).nullish(),
  }),
});

/** Whom a certificate is for. */
export interface RequestedNames {
  readonly commonName: string;
  readonly altNames: readonly { readonly type: "dns" | "ip" | "url"; readonly value: string }[];
}

/**
 * Signs a request by a role. Each call issues another certificate, and it is not repeated by itself: after `unavailable` or
 * `timeout` one may have been issued. Errors: `invalid-request` for what the role does not allow; those of the session.
 */
export async function signRequest(
  session: VaultSession,
  of: RequestedNames & {
    readonly role: string;
    readonly csr: string;
    readonly ttlMs: number;
  },
  { mount, signal }: PkiOptions,
): Promise<SignedCertificate> {
  const named = (type: string): string =>
    of.altNames
      .filter((name) => name.type === type)
      .map(({ value }) => value)
      .join(",");
  const answer = await session.call({
    method: "POST",
    path: `${mount}/sign/${encodeURIComponent(of.role)}`,
    body: {
      csr: of.csr,
      common_name: of.commonName,
      alt_names: named("dns"),
      ip_sans: named("ip"),
      uri_sans: named("url"),
      ttl: `${Math.round(of.ttlMs / 1000)}s`,
      format: "pem",
    },
    repeatable: false,
    signal,
  });
  return signedOf(signedSchema.parse(JSON.parse(answer.body.toString("utf8"))));
}

const issuedSchema = signedSchema.extend({
  data: signedSchema.shape.data.extend({
    private_key: z.string().min(1),
    /** Seconds since 1970. */
    expiration: z.int(),
  }),
});

/** Whom one of the server's own is for: by a name, by names and addresses that it is called by, or both. */
export interface CertificateSubject {
  readonly commonName?: string;
  readonly names?: readonly string[];
}

/**
 * Has the engine make a key and issue for it, at a path such as `pki/issue/glasshouse`: for what is kept in memory alone, as one
 * whose answer is lost cannot be found again. Errors: those of `signRequest`.
 */
export async function issueAt(
  session: VaultSession,
  path: string,
  { commonName, names = [] }: CertificateSubject,
): Promise<SignedCertificate & { readonly key: string; readonly endsAtMs: number }> {
  const addresses = names.filter((name) => isIP(name) !== 0);
  const called = names.filter((name) => isIP(name) === 0);
  const body = {
    ...(commonName === undefined ? {} : { common_name: commonName }),
    ...(called.length === 0 ? {} : { alt_names: called.join(",") }),
    ...(addresses.length === 0 ? {} : { ip_sans: addresses.join(",") }),
  };
  const answer = await session.call({ method: "POST", path, body, repeatable: true });
  const issued = issuedSchema.parse(JSON.parse(answer.body.toString("utf8")));
  const { private_key: key, expiration } = issued.data;
  return { ...signedOf(issued), key, endsAtMs: expiration * 1_000 };
}

function signedOf({ data }: z.output<typeof signedSchema>): SignedCertificate {
  return { certificate: data.certificate, issuer: data.issuing_ca, chain: data.ca_chain ?? [] };
}

/**
 * Revokes by number (hexadecimal digits). One that is over, revoked already or not known to the engine is no error. Safe to
 * repeat. Errors: those of the session.
 */
export async function revokeSerial(
  session: VaultSession,
  serial: string,
  { mount, signal }: PkiOptions,
): Promise<void> {
  try {
    await session.call({
      method: "POST",
      path: `${mount}/revoke`,
      body: { serial_number: colons(serial) },
      repeatable: true,
      signal,
    });
  } catch (error) {
    const known = error instanceof GlasshouseError ? error : null;
    if (known?.code === "invalid-request" && /not found/iu.test(known.message)) return;
    throw error;
  }
}

const keysSchema = z.object({ data: z.object({ keys: z.array(z.string()) }) });

/** The numbers of all certificates that the engine keeps, as it writes them. Errors: those of the session. */
export async function listSerials(
  session: VaultSession,
  { mount, signal }: PkiOptions,
): Promise<readonly string[]> {
  const answer = await session.call({
    method: "LIST",
    path: `${mount}/certs`,
    repeatable: true,
    expected: [404],
    signal,
  });
  if (answer.status === 404) return [];
  return keysSchema.parse(JSON.parse(answer.body.toString("utf8"))).data.keys;
}

const certificateSchema = z.object({
  data: z.object({ certificate: z.string(), revocation_time: z.int().optional() }),
});

export interface KnownCertificate {
  /** In PEM. */
  readonly text: string;
  readonly isRevoked: boolean;
}

/**
 * What the engine gives out under this name: a certificate by its number (hexadecimal digits, or as the engine writes it),
 * `ca_chain` or `crl`. Null when it is not there. Errors: those of the session.
 */
export async function readCertificate(
  session: VaultSession,
  name: string,
  { mount, signal }: PkiOptions,
): Promise<KnownCertificate | null> {
  const answer = await session.call({
    method: "GET",
    path: `${mount}/cert/${encodeURIComponent(/^[0-9a-f]+$/u.test(name) ? colons(name) : name)}`,
    repeatable: true,
    expected: [404],
    signal,
  });
  if (answer.status === 404) return null;
  const { data } = certificateSchema.parse(JSON.parse(answer.body.toString("utf8")));
  return { text: data.certificate, isRevoked: (data.revocation_time ?? 0) > 0 };
}

function colons(serial: string): string {
  return serial.match(/../gu)?.join(":") ?? serial;
}
