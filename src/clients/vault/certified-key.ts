import { createPrivateKey, X509Certificate } from "node:crypto";
import { z } from "zod";
import { GlasshouseError } from "../../domain/errors.ts";
import type { Log } from "../../ports/telemetry.ts";
import { serialsOfKey } from "./forgotten.ts";
import { markKey, readVersion, writeVersion, type KvPlace } from "./kv.ts";
import {
  readCertificate,
  readRole,
  revokeSerial,
  signRequest,
  type RequestedNames,
  type SignedCertificate,
} from "./pki.ts";
import type { VaultSession } from "./session.ts";

/** A key with its certificate: where it is kept, and who issues for it. */
export interface CertifiedKey {
  readonly session: VaultSession;
  readonly kept: KvPlace;
  /** Mount of the PKI engine. */
  readonly pki: string;
  readonly signal: AbortSignal;
  readonly log: Log;
}

/** A certificate that is to be issued. */
export interface KeyOrder extends RequestedNames {
  readonly role: string;
  readonly ttlMs: number;
  /** What is written with everything that is made for this owner begins with it. */
  readonly owner: string;
  /** The same when it is asked for again, another for another certificate. */
  readonly madeFor: string;
  /** Up to this version of the KV engine all is recorded; 0: nothing is there. */
  readonly known: number;
  /** What the key's metadata are to say of its owner, or null to leave them. */
  readonly marks: Readonly<Record<string, string>> | null;
}

/** In PEM. */
export interface KeyTexts {
  readonly key: string;
  readonly certificate: string;
  /** Begins with the certificate. */
  readonly chain: string;
  readonly ca: string;
}

export interface PublicFacts {
  /** As hexadecimal digits, without separators. */
  readonly serial: string;
  readonly issuer: string;
  readonly notBefore: string;
  readonly notAfter: string;
}

/** What a version in the KV engine holds: a key, and the certificate for it once that is issued. */
const keptSchema = z.object({
  made_for: z.string(),
  key: z.string(),
  certificate: z.string().optional(),
  chain: z.string().optional(),
  ca: z.string().optional(),
});
export type KeptKey = z.output<typeof keptSchema>;

/** One that is not the step's owner any more may write meanwhile: then it is looked at again, so often. */
const mostTries = 3;
const mostUnused = 10_000;

/**
 * Has certificates issued by Vault's PKI engine for keys that are made here and kept in its KV engine, version 2. The key is
 * written first, by compare-and-set and with what it was made for; so whatever was issued for it without anybody hearing of it
 * can be found by the key, and is revoked before another one is issued.
 */
export class KeyIssuer {
  /** Keys for which this process knows that nothing was issued: Vault has refused. */
  readonly #unused = new Set<string>();

  /**
   * Issues it, or finds it issued: asked again for the same, also after a kill, it leaves one that is good; what else it had issued
   * is revoked. Errors: `conflict` for a key that is somebody else's; those of the session, of `readRole` and of `signRequest`.
   */
  async issue(
    at: CertifiedKey,
    order: KeyOrder,
  ): Promise<{ readonly texts: KeyTexts; readonly version: number }> {
    for (let tries = 0; tries < mostTries; tries += 1) {
      const issued = await this.#tryToIssue(at, order);
      if (issued !== null) return issued;
    }
    throw foreignKey(at.kept);
  }

  /** Null when somebody else has written meanwhile. */
  async #tryToIssue(
    at: CertifiedKey,
    order: KeyOrder,
  ): Promise<{ readonly texts: KeyTexts; readonly version: number } | null> {
    const { session, kept: place, signal } = at;
    const { madeFor, known, owner, marks } = order;
    const left = await keyAbove(at, known);
    if (left?.kept.made_for.startsWith(owner) === false) throw foreignKey(place);
    const isOurs = left?.kept.made_for === madeFor;
    const whole = left === null ? null : textsOfKept(left.kept);
    if (left !== null && isOurs && whole !== null && !(await isRevoked(at, whole)))
      return { texts: whole, version: left.version };
    // A key of before is used again where nothing is issued for it: versions are few, and hold what is in use.
    const isUsable =
      left !== null &&
      ((isOurs && this.#unused.has(madeFor)) || (await revokeUnrecorded(at, left.kept)));
    const ready =
      left !== null && isOurs && whole === null && isUsable
        ? { key: left.kept.key, version: left.version }
        : await writeKey(at, { order, cas: left?.version ?? known });
    if (ready === null) return null;
    this.#unused.delete(madeFor);
    if (marks !== null) await markKey(session, place, { marks, signal });
    const texts = textsOf(ready.key, await this.#sign(at, { order, key: ready.key }));
    const data = { ...texts, made_for: madeFor };
    const version = await writeVersion(session, place, { cas: ready.version, data, signal });
    if (version !== null) return { texts, version };
    await revokeSerial(session, publicFacts(texts).serial, { mount: at.pki, signal });
    return null;
  }

  async #sign(
    { session, pki: mount, signal }: CertifiedKey,
    { order, key }: { readonly order: KeyOrder; readonly key: string },
  ): Promise<SignedCertificate> {
    const { requestOf } = await import("./csr.ts");
    const csr = await requestOf(key, order);
    try {
      return await signRequest(session, { ...order, csr }, { mount, signal });
    } catch (error) {
      if (this.#unused.size >= mostUnused) this.#unused.clear();
      if (isRefusal(error)) this.#unused.add(order.madeFor);
      throw error;
    }
  }
}

type Place = Pick<CertifiedKey, "session" | "kept" | "signal">;

/** The newest version; null when there is none. Errors: `conflict` when it is no certified key; those of the session. */
export async function newestKey(
  at: Place,
): Promise<{ readonly version: number; readonly kept: KeptKey } | null> {
  return keyAbove(at, 0);
}

/** The newest version where it is above this one; what is recorded may have been written over by anybody. Errors: as `newestKey`. */
async function keyAbove(at: Place, known: number): ReturnType<typeof newestKey> {
  const newest = await readKey(at);
  if (newest === null || newest.version <= known) return null;
  const { version, kept } = newest;
  if (kept === null) throw foreignKey(at.kept);
  return { version, kept };
}

/** The newest version, `kept` null where it is no certified key; null when there is none. Errors: those of the session. */
export async function readKey({
  session,
  kept: place,
  signal,
}: Place): Promise<{ readonly version: number; readonly kept: KeptKey | null } | null> {
  const found = await readVersion(session, place, { version: 0, signal });
  if (found === null) return null;
  return { version: found.version, kept: keptSchema.safeParse(found.data).data ?? null };
}

/** Whether the PKI engine says so; one that it does not keep is not. Errors: those of the session. */
export async function isRevoked(
  { session, pki: mount, signal }: CertifiedKey,
  texts: Pick<KeyTexts, "certificate">,
): Promise<boolean> {
  const known = await readCertificate(session, publicFacts(texts).serial, { mount, signal });
  return known?.isRevoked === true;
}

/**
 * Revokes what a version that nobody recorded holds, or what was issued for its key without being kept. True when nothing can
 * be issued for the key that is not revoked. Safe to repeat. Errors: those of the session.
 */
export async function revokeUnrecorded(
  { session, pki: mount, signal, log }: CertifiedKey,
  kept: KeptKey,
): Promise<boolean> {
  if (kept.certificate !== undefined) {
    const { serial } = publicFacts({ certificate: kept.certificate });
    await revokeSerial(session, serial, { mount, signal });
    return true;
  }
  const key = createPrivateKey(kept.key);
  const { serials, isWhole } = await serialsOfKey(session, key, { mount, signal, log });
  for (const serial of serials) await revokeSerial(session, serial, { mount, signal });
  return isWhole;
}

/** What everybody may know of it. */
export function publicFacts({ certificate }: Pick<KeyTexts, "certificate">): PublicFacts {
  const { serialNumber, issuer, validFromDate, validToDate } = new X509Certificate(certificate);
  return {
    serial: serialNumber.toLowerCase(),
    issuer: issuer.replaceAll("\n", ", "),
    notBefore: validFromDate.toISOString(),
    notAfter: validToDate.toISOString(),
  };
}

/** Null while nothing is issued for its key. */
export function textsOfKept({ key, certificate, chain, ca }: KeptKey): KeyTexts | null {
  if (certificate === undefined || chain === undefined || ca === undefined) return null;
  return { key, certificate, chain, ca };
}

/** PEM that ends with its line. */
export function lines(pem: string): string {
  return pem === "" ? "" : `${pem.trim()}\n`;
}

/** From here on what is issued can be found by its key. Null when somebody else has written meanwhile. */
async function writeKey(
  { session, kept: place, pki: mount, signal }: CertifiedKey,
  { order, cas }: { readonly order: KeyOrder; readonly cas: number },
): Promise<{ readonly key: string; readonly version: number } | null> {
  const { newKey } = await import("./csr.ts");
  const key = await newKey(await readRole(session, order.role, { mount, signal }));
  const data = { key, made_for: order.madeFor };
  const version = await writeVersion(session, place, { cas, data, signal });
  return version === null ? null : { key, version };
}

/** Vault has said no, so nothing was issued. */
function isRefusal(error: unknown): boolean {
  const codes = ["invalid-request", "forbidden", "not-found", "too-large"];
  return error instanceof GlasshouseError && codes.includes(error.code);
}

/** What stands between it and the root goes with it; the root is what is to be trusted. */
function textsOf(key: string, { certificate, issuer, chain }: SignedCertificate): KeyTexts {
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

function foreignKey({ mount, path }: KvPlace): GlasshouseError {
  return new GlasshouseError(
    "conflict",
    `The key ${mount}/${path} in Vault was changed by somebody else, so nothing was written: look at it (vault kv metadata get), take away what does not belong there, and try again.`,
  );
}
