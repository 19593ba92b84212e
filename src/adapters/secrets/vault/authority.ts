import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { z } from "zod";
import {
  destroyKey,
  markKey,
  readVersion,
  writeVersion,
  type KvPlace,
} from "../../../clients/vault/kv.ts";
import {
  readCertificate,
  readRole,
  revokeSerial,
  signRequest,
  type SignedCertificate,
} from "../../../clients/vault/pki.ts";
import type { VaultSession } from "../../../clients/vault/session.ts";
import { waitingForPolicy } from "../../../clients/vault/waiting.ts";
import { nameKind } from "../../../domain/certificate-wish.ts";
import type { CertificateTexts, IssuedFacts } from "../../../domain/certificate.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import { ownedSecretName } from "../../../domain/secret.ts";
import { canonicalJson } from "../../../lib/json.ts";
import type {
  CertificateAuthority,
  CertificateOrder,
  IssuedCertificate,
} from "../../../ports/certificates.ts";
import type { SecretPlace, SecretSealer } from "../../../ports/secrets.ts";
import type { Log } from "../../../ports/telemetry.ts";
import { serialsOfKey } from "./forgotten.ts";
import { keyOf, locatorOf, sealLocator } from "./place.ts";

export interface VaultAuthorityOptions {
  readonly session: VaultSession;
  readonly sealer: SecretSealer;
  /** Mount of the KV engine, version 2, that keeps the keys, and folder in it. */
  readonly mount: string;
  readonly prefix: string;
  /** Mount of the PKI engine. */
  readonly pki: string;
  readonly log: Log;
}

/** What a version in the KV engine holds: a key, and the certificate for it once that is issued. */
const keptSchema = z.object({
  made_for: z.string(),
  key: z.string(),
  certificate: z.string().optional(),
  chain: z.string().optional(),
  ca: z.string().optional(),
});
type Kept = z.output<typeof keptSchema>;

interface Call {
  readonly options: VaultAuthorityOptions;
  readonly place: SecretPlace;
  readonly signal: AbortSignal;
}

/**
 * Has certificates issued by Vault's PKI engine for keys that are made here and kept in its KV engine, version 2. The key is
 * written first, by compare-and-set and with what it was made for; so whatever was issued for it without anybody hearing of it
 * can be found by the key, and is revoked before another one is issued.
 */
export function vaultAuthority(options: VaultAuthorityOptions): CertificateAuthority {
  const { session, pki: mount } = options;
  // Keys for which this process knows that nothing was issued: Vault has refused.
  const unused = new Set<string>();
  return {
    name: "vault",
    isOutside: true,
    issue: (order) =>
      waitingForPolicy(() =>
        issue({ options, place: order, signal: order.signal }, { order, unused }),
      ),
    revoke: (certificates, signal) =>
      waitingForPolicy(async () => {
        for (const { serial } of certificates)
          await revokeSerial(session, serial, { mount, signal });
      }),
    remove: (place, { issued, signal }) =>
      waitingForPolicy(async () => {
        const call = { options, place, signal };
        const newest = await newestOf(call);
        if (newest !== null) await forget(call, newest.kept);
        for (const { serial } of issued) await revokeSerial(session, serial, { mount, signal });
        await destroyKey(session, keyOf(options, place), { signal });
      }),
    view: async (signal) => {
      const chain = await readCertificate(session, "ca_chain", { mount, signal });
      const certificate = chain?.text ?? "";
      const revocations = await readCertificate(session, "crl", { mount, signal });
      if (certificate === "") return null;
      return {
        name: "vault",
        certificate: lines(certificate),
        revocations: lines(revocations?.text ?? ""),
      };
    },
  };
}

/** One that is not the step's owner any more may write meanwhile: then it is looked at again, so often. */
const mostTries = 3;
const mostUnused = 10_000;

interface Issuing {
  readonly order: CertificateOrder;
  readonly unused: Set<string>;
}

async function issue(call: Call, of: Issuing): Promise<IssuedCertificate> {
  for (let tries = 0; tries < mostTries; tries += 1) {
    const issued = await tryToIssue(call, of);
    if (issued !== null) return issued;
  }
  throw foreign(keyOf(call.options, of.order));
}

/** Null when somebody else has written meanwhile. */
async function tryToIssue(
  call: Call,
  { order, unused }: Issuing,
): Promise<IssuedCertificate | null> {
  const { options, signal } = call;
  const place = keyOf(options, order);
  const madeFor = madeForOf(order);
  const known = order.previous === null ? 0 : locatorOf(options.sealer, order.previous).version;
  const newest = await newestOf(call);
  const left = newest !== null && newest.version > known ? newest : null;
  if (left !== null && !left.kept.made_for.startsWith(placeOf(order))) throw foreign(place);
  const isOurs = left?.kept.made_for === madeFor;
  const whole = left === null ? null : partsOf(left.kept);
  if (left !== null && isOurs && whole !== null && !(await isRevoked(call, whole)))
    return issuedOf(call, whole, left.version);
  // A key of before is used again where nothing is issued for it: versions are few, and hold what is in use.
  const isUsable =
    left !== null && ((isOurs && unused.has(madeFor)) || (await forget(call, left.kept)));
  const ready =
    left !== null && isOurs && whole === null && isUsable
      ? { key: left.kept.key, version: left.version }
      : await writeKey(call, { order, madeFor, cas: left?.version ?? known });
  if (ready === null) return null;
  unused.delete(madeFor);
  const marks = { owner: "glasshouse", environment: order.environmentId, certificate: order.name };
  if (known === 0) await markKey(options.session, place, { marks, signal });
  const signed = await sign(call, { order, key: ready.key }).catch((error: unknown) => {
    if (unused.size >= mostUnused) unused.clear();
    if (isRefusal(error)) unused.add(madeFor);
    throw error;
  });
  const texts = textsOf(ready.key, signed);
  const data = { ...texts, made_for: madeFor };
  const version = await writeVersion(options.session, place, { cas: ready.version, data, signal });
  if (version !== null) return issuedOf(call, texts, version);
  await revokeSerial(options.session, factsOf(texts).serial, { mount: options.pki, signal });
  return null;
}

async function isRevoked({ options, signal }: Call, texts: CertificateTexts): Promise<boolean> {
  const { serial } = factsOf(texts);
  const known = await readCertificate(options.session, serial, { mount: options.pki, signal });
  return known?.isRevoked === true;
}

/** The newest version of the place's key; null when there is none. Errors: `conflict` when it is somebody else's. */
async function newestOf({
  options,
  place,
  signal,
}: Call): Promise<{ readonly version: number; readonly kept: Kept } | null> {
  const key = keyOf(options, place);
  const found = await readVersion(options.session, key, { version: 0, signal });
  if (found === null) return null;
  const kept = keptSchema.safeParse(found.data);
  if (!kept.success) throw foreign(key);
  return { version: found.version, kept: kept.data };
}

/**
 * Revokes what a version that nobody recorded holds, or what was issued for its key without being kept. True when nothing can
 * be issued for the key that is not revoked.
 */
async function forget({ options, signal }: Call, kept: Kept): Promise<boolean> {
  const { session, pki: mount, log } = options;
  if (kept.certificate !== undefined) {
    await revokeSerial(session, factsOf({ certificate: kept.certificate }).serial, {
      mount,
      signal,
    });
    return true;
  }
  const key = createPrivateKey(kept.key);
  const { serials, isWhole } = await serialsOfKey(session, key, { mount, signal, log });
  for (const serial of serials) await revokeSerial(session, serial, { mount, signal });
  return isWhole;
}

/** From here on what is issued can be found by its key. Null when somebody else has written meanwhile. */
async function writeKey(
  { options, signal }: Call,
  of: { readonly order: CertificateOrder; readonly madeFor: string; readonly cas: number },
): Promise<{ readonly key: string; readonly version: number } | null> {
  const { session, pki } = options;
  const { newKey } = await import("./csr.ts");
  const key = await newKey(await readRole(session, of.order.wish.role, { mount: pki, signal }));
  const place = keyOf(options, of.order);
  const data = { key, made_for: of.madeFor };
  const version = await writeVersion(session, place, { cas: of.cas, data, signal });
  return version === null ? null : { key, version };
}

async function sign(
  { options, signal }: Call,
  { order, key }: { readonly order: CertificateOrder; readonly key: string },
): Promise<SignedCertificate> {
  const { role, commonName, altNames, ttlMs } = order.wish;
  const { requestOf } = await import("./csr.ts");
  const named = (kind: ReturnType<typeof nameKind>): readonly string[] =>
    altNames.filter((name) => nameKind(name) === kind);
  const names = { dnsNames: named("dns"), ipAddresses: named("ip"), uris: named("url") };
  const csr = await requestOf(key, order.wish);
  const of = { role, csr, commonName, ...names, ttlMs };
  return signRequest(options.session, of, { mount: options.pki, signal });
}

/** Vault has said no, so nothing was issued. */
function isRefusal(error: unknown): boolean {
  const codes = ["invalid-request", "forbidden", "not-found", "too-large"];
  return error instanceof GlasshouseError && codes.includes(error.code);
}

function issuedOf(
  { options, place }: Call,
  texts: CertificateTexts,
  version: number,
): IssuedCertificate {
  const name = ownedSecretName({ ...place, kind: "certificate" });
  const of = { environmentId: place.environmentId, name };
  const locator = { ...keyOf(options, place), version };
  return { made: sealLocator(options.sealer, locator, of), facts: factsOf(texts) };
}

function factsOf({ certificate }: Pick<CertificateTexts, "certificate">): IssuedFacts {
  const { serialNumber, issuer, validFromDate, validToDate } = new X509Certificate(certificate);
  return {
    serial: serialNumber.toLowerCase(),
    issuer: issuer.replaceAll("\n", ", "),
    notBefore: validFromDate.toISOString(),
    notAfter: validToDate.toISOString(),
  };
}

/** Null while nothing is issued for its key. */
function partsOf({ key, certificate, chain, ca }: Kept): CertificateTexts | null {
  if (certificate === undefined || chain === undefined || ca === undefined) return null;
  return { key, certificate, chain, ca };
}

/** What stands between it and the root goes with it; the root is what is to be trusted. */
function textsOf(key: string, { certificate, issuer, chain }: SignedCertificate): CertificateTexts {
  const above = chain.length === 0 ? [issuer] : chain;
  const between = above.filter((one) => !isRoot(one));
  return {
    key,
    certificate: lines(certificate),
    chain: [certificate, ...between].map(lines).join(""),
    ca: lines(above.find(isRoot) ?? above.at(-1) ?? issuer),
  };
}

function isRoot(pem: string): boolean {
  const certificate = new X509Certificate(pem);
  return certificate.checkIssued(certificate);
}

function lines(pem: string): string {
  return pem === "" ? "" : `${pem.trim()}\n`;
}

function placeOf({ environmentId, template, name }: SecretPlace): string {
  return `${environmentId}/${template}/${name}/`;
}

function madeForOf(order: CertificateOrder): string {
  const asked = createHash("sha256")
    .update(canonicalJson({ ...order.wish }))
    .digest("hex");
  return `${placeOf(order)}${order.version} for ${asked.slice(0, 32)}`;
}

function foreign({ mount, path }: KvPlace): GlasshouseError {
  return new GlasshouseError(
    "conflict",
    `The key ${mount}/${path} in Vault was changed by somebody else, so nothing was written: look at it (vault kv metadata get), take away what does not belong there, and try again.`,
  );
}
