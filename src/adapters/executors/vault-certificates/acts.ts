import {
  publicFacts,
  revokeUnrecorded,
  type CertifiedKey,
  type KeyIssuer,
  type KeyTexts,
} from "../../../clients/vault/certified-key.ts";
import { destroyKey } from "../../../clients/vault/kv.ts";
import { revokeSerial } from "../../../clients/vault/pki.ts";
import { typedNames } from "../../../domain/certificate-wish.ts";
import type { ExecutorContext } from "../../../ports/executor.ts";
import { addressOf, find, madeForOf, ownerOf, placeOf, type Look } from "./look.ts";
import {
  isSamePlace,
  rememberPlace,
  type CertificatePlace,
  type Known,
  type Memory,
} from "./memory.ts";

/** A certificate with its key, where it is kept now. */
export interface Made {
  readonly texts: KeyTexts;
  readonly version: number;
  /** Of the list of places. */
  readonly serial: number;
  readonly isNew: boolean;
}

/** What is there where that is right; otherwise one that is issued, or was by a try that nobody recorded. */
export async function issueFor(of: {
  readonly at: CertifiedKey;
  readonly issuer: KeyIssuer;
  readonly ctx: ExecutorContext;
  readonly seen: Look;
}): Promise<Made> {
  const { at, issuer, ctx, seen } = of;
  const { wanted, known, here } = seen;
  if (seen.due === null && seen.present !== null)
    return {
      texts: seen.present,
      version: here?.version ?? 0,
      serial: known.serial,
      isNew: false,
    };
  const serial = await rememberPlace(ctx, known, placeOf(wanted));
  ctx.signal.throwIfAborted();
  const { texts, version } = await issuer.issue(at, {
    ...wanted.wish,
    altNames: typedNames(wanted.wish.altNames),
    owner: ownerOf(ctx.owner),
    madeFor: madeForOf(ctx, here, wanted),
    known: settledVersion(seen),
    marks: { owner: ctx.owner, environment: ctx.environment.id, group: ctx.group },
  });
  ctx.log(
    `[glasshouse] ${addressOf(wanted.place)} has the certificate ${publicFacts(texts).serial} in version ${version}`,
  );
  return { texts, version, serial, isNew: true };
}

/** Up to which version nothing is there that nobody recorded. */
function settledVersion({ key, newest, isUnrecorded }: Look): number {
  const version = newest?.version ?? key?.version ?? 0;
  return isUnrecorded ? version - 1 : version;
}

type Open = (place: CertificatePlace) => CertifiedKey;

/**
 * Keys of the group that are elsewhere go, once the new one is there. The certificate that was recorded is revoked at the end of the
 * run, when whatever used it has the new one.
 */
export async function tidy(open: Open, ctx: ExecutorContext, seen: Look): Promise<void> {
  const { known, wanted } = seen;
  for (const place of known.places) {
    if (isSamePlace(place, wanted.place)) continue;
    await takeAway(open(place), ctx, known.memory);
  }
}

/**
 * Revokes all that was issued for the group, also what nobody recorded, and then takes its keys away. Where no place was written down
 * nothing was ever made.
 */
export async function takeDown(
  open: Open,
  ctx: ExecutorContext,
  { memory, places }: Known,
): Promise<void> {
  if (memory !== null)
    for (const { serial, pki } of numberedOf(memory)) {
      const { session, signal } = open(memory.place);
      await revokeSerial(session, serial, { mount: pki, signal });
    }
  for (const place of places) await takeAway(open(place), ctx, null);
}

/** `recorded` is not revoked. */
async function takeAway(
  at: CertifiedKey,
  ctx: ExecutorContext,
  recorded: Memory | null,
): Promise<void> {
  const { key, newest, isForeign } = await find(at, ctx);
  if (key === null || isForeign) return;
  const kept = newest?.kept ?? null;
  const isRecorded =
    kept?.certificate !== undefined &&
    publicFacts({ certificate: kept.certificate }).serial === recorded?.facts.serial;
  if (kept !== null && !isRecorded) await revokeUnrecorded(at, kept);
  await destroyKey(at.session, at.kept, { signal: at.signal });
  ctx.log(`[glasshouse] ${addressOf(at.kept)} is gone from Vault`);
}

/** All that the record knows, the newest first. */
export function numberedOf({ facts, place, earlier }: Memory): Memory["earlier"] {
  return [{ serial: facts.serial, notAfter: facts.notAfter, pki: place.pki }, ...earlier];
}
