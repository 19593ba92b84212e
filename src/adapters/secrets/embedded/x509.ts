// The library resolves its algorithms with a container that wants this polyfill to be there first.
// eslint-disable-next-line import/no-unassigned-import
import "reflect-metadata";
import { randomBytes, webcrypto } from "node:crypto";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
  X509CrlGenerator,
  X509CrlReason,
} from "@peculiar/x509";
import { nameKind } from "../../../domain/certificate-wish.ts";
import type {
  CertificateTexts,
  CertificateWish,
  IssuedFacts,
} from "../../../domain/certificate.ts";
import type { RevokedCertificate } from "../../../ports/repositories.ts";

/** Loaded late: the library takes longer to load than a server without certificates should wait. */

/** Elliptic curves alone: every TLS library of the last ten years takes them, and a key is made in less than a millisecond. */
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const serialBytes = 16;
/** Clocks of those who check may be behind. */
const earlierMs = 300_000;
const authorityMs = 10 * 365 * 86_400_000;
const revocationsMs = 7 * 86_400_000;

/** An authority's certificate in PEM and its key, PKCS #8 in base64. */
export interface AuthorityTexts {
  readonly certificate: string;
  readonly key: string;
}

/** Makes an authority: a self-signed certificate that is good for ten years. */
export async function makeAuthority(commonName: string, nowMs: number): Promise<AuthorityTexts> {
  const keys = await newKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: [{ CN: [commonName] }],
    notBefore: new Date(nowMs - earlierMs),
    notAfter: new Date(nowMs + authorityMs),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const key = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return { certificate: pem(certificate), key: Buffer.from(key).toString("base64") };
}

/** Issues one with a new key. It ends with its authority at the latest. */
export async function issueCertificate(
  authority: AuthorityTexts,
  wish: Pick<CertificateWish, "commonName" | "altNames" | "ttlMs">,
  nowMs: number,
): Promise<{ readonly texts: CertificateTexts; readonly facts: IssuedFacts }> {
  const above = new X509Certificate(authority.certificate);
  const keys = await newKeys();
  const serial = newSerial();
  const untilMs = Math.min(nowMs + wish.ttlMs, above.notAfter.getTime());
  const issued = await X509CertificateGenerator.create({
    serialNumber: serial,
    subject: [{ CN: [wish.commonName] }],
    issuer: above.subject,
    notBefore: new Date(nowMs - earlierMs),
    notAfter: new Date(untilMs),
    publicKey: keys.publicKey,
    signingKey: await signingKey(authority),
    signingAlgorithm: algorithm,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      ...alternativeNames(wish.altNames),
      await AuthorityKeyIdentifierExtension.create(above.publicKey),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const certificate = pem(issued);
  return {
    texts: {
      certificate,
      key: await keyPem(keys.privateKey),
      chain: certificate,
      ca: authority.certificate,
    },
    facts: {
      serial,
      issuer: above.subject,
      notBefore: issued.notBefore.toISOString(),
      notAfter: issued.notAfter.toISOString(),
    },
  };
}

/** The list of those that are revoked, good for a week. */
export async function revocationList(
  authority: AuthorityTexts,
  revoked: readonly RevokedCertificate[],
  nowMs: number,
): Promise<string> {
  const above = new X509Certificate(authority.certificate);
  const list = await X509CrlGenerator.create({
    issuer: above.subject,
    thisUpdate: new Date(nowMs - earlierMs),
    nextUpdate: new Date(nowMs + revocationsMs),
    entries: revoked.map(({ serial, revokedAt }) => ({
      serialNumber: serial,
      revocationDate: new Date(revokedAt),
      reason: X509CrlReason.cessationOfOperation,
    })),
    signingKey: await signingKey(authority),
    signingAlgorithm: algorithm,
    extensions: [await AuthorityKeyIdentifierExtension.create(above.publicKey)],
  });
  return wrapped("X509 CRL", list.rawData);
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

async function signingKey({ key }: AuthorityTexts): Promise<webcrypto.CryptoKey> {
  const bytes = Buffer.from(key, "base64");
  return webcrypto.subtle.importKey("pkcs8", bytes, algorithm, false, ["sign"]);
}

async function keyPem(key: webcrypto.CryptoKey): Promise<string> {
  return wrapped("PRIVATE KEY", await webcrypto.subtle.exportKey("pkcs8", key));
}

/** Positive and of full length: neither its first bit nor its first digit is 0. */
function newSerial(): string {
  const bytes = randomBytes(serialBytes);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString("hex");
}

function alternativeNames(names: readonly string[]): readonly SubjectAlternativeNameExtension[] {
  const known = names.flatMap((value) => {
    const type = nameKind(value);
    return type === null ? [] : [{ type, value }];
  });
  return known.length === 0 ? [] : [new SubjectAlternativeNameExtension(known)];
}

function pem(certificate: X509Certificate): string {
  return wrapped("CERTIFICATE", certificate.rawData);
}

/** RFC 7468: lines of 64 characters. */
function wrapped(label: string, bytes: ArrayBuffer): string {
  const lines =
    Buffer.from(bytes)
      .toString("base64")
      .match(/.{1,64}/gu) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}
