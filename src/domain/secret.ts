import type { CertificateFacts, NumberedCertificate } from "./certificate.ts";
import type { SecretRef } from "./value.ts";

/** A value that a template declares: made once for each environment, owned by it until it is destroyed. */
export interface SecretDeclaration {
  readonly description: string;
  readonly length: number;
  readonly charset: SecretCharset;
  /** A password policy of Vault that makes it, in place of length and charset. */
  readonly policy?: string;
  /** Where a value is that exists already; then none is made. */
  readonly from?: SecretSource;
  /** A new version is made when the newest is so old. */
  readonly rotateMs?: number;
}

/** A field of a key in a KV engine of Vault, version 2. */
export interface SecretSource {
  readonly mount: string;
  readonly path: string;
  readonly field: string;
}

const sourcePattern = /^vault:(?<mount>[^/#\s]+)\/(?<path>[^#\s]*[^/#\s])#(?<field>[^#\s]+)$/u;

/** Reads `vault:<mount>/<path>#<field>`; null when it is something else. */
export function parseSecretSource(text: string): SecretSource | null {
  const { mount, path, field } = sourcePattern.exec(text)?.groups ?? {};
  if (mount === undefined || path === undefined || field === undefined) return null;
  return path.split("/").some((part) => part === "" || part === "." || part === "..")
    ? null
    : { mount, path, field };
}

export const secretCharsets = {
  alphanumeric: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
  lowercase: "abcdefghijklmnopqrstuvwxyz0123456789",
  digits: "0123456789",
  hex: "0123456789abcdef",
  base64url: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
  // All of ASCII that is visible, without quotes, backslash and backtick: those end strings in most languages.
  printable:
    "!#$%&()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_abcdefghijklmnopqrstuvwxyz{|}~",
} as const;

export type SecretCharset = keyof typeof secretCharsets;

export const secretDefaults = { length: 32, charset: "alphanumeric" } as const;

/** How much there is to guess, in bits. */
export function secretBits({
  length,
  charset,
}: Pick<SecretDeclaration, "length" | "charset">): number {
  return Math.floor(length * Math.log2(secretCharsets[charset].length));
}

/** A template declares values that are generated, and certificates, which have a key that is secret. */
export type SecretKind = "secret" | "certificate";

/**
 * Where the newest version of what a template declared is: a secret, or a certificate with its key. One an environment,
 * template and name; never the value.
 */
export interface OwnedSecret {
  readonly environmentId: string;
  readonly template: string;
  readonly name: string;
  readonly kind: SecretKind;
  /** Raised by one with every value that is made; from 1. 0: one is being made, and something may be at the keeper. */
  readonly version: number;
  /** Which wish for a new value this version fulfils; 0 for the first, -1 while there is none. */
  readonly rotation: number;
  /** The sealed value, as references name it. */
  readonly secretId: string;
  readonly fingerprint: string;
  /** What keeps the value. */
  readonly keeper: string;
  readonly createdAt: string;
  /** When this version was made. */
  readonly rotatedAt: string;
  /** When the next one is due by itself, or null. */
  readonly rotateAt: string | null;
  /** What is public of a certificate; null for a secret, and while none is issued. */
  readonly certificate: CertificateFacts | null;
}

/** The name under which values are sealed. */
export function ownedSecretName(of: Pick<OwnedSecret, "template" | "name" | "kind">): string {
  return `${of.kind}/${of.template}/${of.name}`;
}

/** Whether there is a value. */
export function isMade({ version }: Pick<OwnedSecret, "version">): boolean {
  return version > 0;
}

/** Whether it is the certificate of a group, issued by the group's executor, and not declared. */
export function isOfGroup({ certificate }: Pick<OwnedSecret, "certificate">): boolean {
  return certificate?.ofGroup !== undefined;
}

/** The certificates that are known of one, the newest first. */
export function numberedOf({
  keeper,
  certificate,
}: Pick<OwnedSecret, "keeper" | "certificate">): readonly NumberedCertificate[] {
  if (certificate === null) return [];
  const { serial, notAfter, earlier, ofGroup } = certificate;
  return [{ serial, notAfter, keeper, ...ofGroup }, ...earlier];
}

/** What expressions see of an environment's secrets. */
export function secretScope(
  owned: readonly OwnedSecret[],
  template: string,
): Readonly<Record<string, SecretRef>> {
  const own = owned.filter(
    (secret) => secret.kind === "secret" && secret.template === template && isMade(secret),
  );
  return Object.fromEntries(
    own.map(({ name, secretId, fingerprint }) => [name, { $secret: secretId, fingerprint }]),
  );
}
