import { createHash } from "node:crypto";
import {
  isRevoked,
  publicFacts,
  readKey,
  textsOfKept,
  type CertifiedKey,
  type KeptKey,
  type KeyTexts,
} from "../../../clients/vault/certified-key.ts";
import { lookAtKey, type KvKey } from "../../../clients/vault/kv.ts";
import { isSameWish, renewalOf } from "../../../domain/certificate-wish.ts";
import { canonicalJson } from "../../../lib/json.ts";
import type { ExecutorContext } from "../../../ports/executor.ts";
import { isSamePlace, type CertificatePlace, type Known, type Memory } from "./memory.ts";
import type { CertificateSettings } from "./settings.ts";

/** What is at a place now. Its key is in memory only. */
export interface Found {
  /** Null: there is none. */
  readonly key: KvKey | null;
  /** The newest version; null where there is none or it is deleted. `kept` is null where it is no certified key. */
  readonly newest: { readonly version: number; readonly kept: KeptKey | null } | null;
  readonly isForeign: boolean;
}

/** Why another certificate is due. */
export type Due = "absent" | "changed" | "revoked" | "names" | "asked" | "window";

/** What is there, beside what is wanted. */
export interface Look extends Found {
  readonly known: Known;
  readonly wanted: CertificateSettings;
  /** What the record knows of this very place. */
  readonly here: Memory | null;
  /** Null: what is there is right. */
  readonly due: Due | null;
  /** What is there and recorded. */
  readonly present: KeyTexts | null;
  /** A key of a try that nobody recorded. */
  readonly isUnrecorded: boolean;
}

export async function look(
  at: CertifiedKey,
  ctx: ExecutorContext,
  of: {
    readonly wanted: CertificateSettings;
    readonly known: Known;
    readonly nowMs: number;
  },
): Promise<Look> {
  const { known, wanted, nowMs } = of;
  const { memory } = known;
  const found = await find(at, ctx);
  const here = memory !== null && isSamePlace(memory.place, wanted.place) ? memory : null;
  const { newest } = found;
  const kept = newest?.kept ?? null;
  const texts = kept === null || found.isForeign ? null : textsOfKept(kept);
  const isRecorded =
    texts !== null &&
    newest?.version === here?.version &&
    publicFacts(texts).serial === here?.facts.serial;
  const present = isRecorded ? texts : null;
  const isUnrecorded = !found.isForeign && !isRecorded && isBegun(ctx, here, kept);
  const all = { ...found, known, wanted, here, isUnrecorded, present };
  if (present === null || here === null)
    return { ...all, due: newest === null || isUnrecorded ? "absent" : "changed" };
  if (await isRevoked(at, present)) return { ...all, due: "revoked" };
  return { ...all, due: dueOf({ ctx, wanted, here, present, nowMs }) };
}

/** What is at a place, and whose it is: what its newest version was made for says so, or else its metadata. */
export async function find(
  at: CertifiedKey,
  { owner }: Pick<ExecutorContext, "owner">,
): Promise<Found> {
  const key = await lookAtKey(at.session, at.kept, { signal: at.signal });
  if (key === null) return { key, newest: null, isForeign: false };
  const newest = key.version === 0 ? null : await readKey(at);
  const isMarked = key.marks["owner"] === owner;
  const kept = newest?.kept ?? null;
  const isForeign = kept === null ? !isMarked : !kept.made_for.startsWith(ownerOf(owner));
  return { key, newest, isForeign };
}

/** What everything begins with that is made for the group. */
export function ownerOf(owner: string): string {
  return `${owner}/`;
}

/** The same for each try at the next certificate after the one that is recorded. */
export function madeForOf(
  { owner, rotation }: Pick<ExecutorContext, "owner" | "rotation">,
  here: Memory | null,
  { wish, pki }: CertificateSettings,
): string {
  const asked = createHash("sha256")
    .update(canonicalJson({ ...wish, pki, rotation }))
    .digest("hex");
  return `${begunFor(owner, here)}${asked.slice(0, 32)}`;
}

function begunFor(owner: string, here: Memory | null): string {
  return `${ownerOf(owner)}${here?.version ?? 0} for `;
}

function isBegun(
  { owner }: Pick<ExecutorContext, "owner">,
  here: Memory | null,
  kept: KeptKey | null,
): boolean {
  // Where nothing is recorded, whatever the group has made is what a try has left.
  const begins = here === null ? ownerOf(owner) : begunFor(owner, here);
  return kept?.made_for.startsWith(begins) === true;
}

function dueOf(of: {
  readonly ctx: Pick<ExecutorContext, "rotation">;
  readonly wanted: CertificateSettings;
  readonly here: Memory;
  readonly present: KeyTexts;
  readonly nowMs: number;
}): Due | null {
  const { ctx, wanted, here, present, nowMs } = of;
  if (!isSameWish(here.asked, wanted.wish) || here.place.pki !== wanted.pki) return "names";
  if (ctx.rotation > here.rotation) return "asked";
  return Date.parse(renewalOf(publicFacts(present), wanted.wish)) <= nowMs ? "window" : null;
}

/** The place of the settings. */
export function placeOf({ place, pki }: CertificateSettings): CertificatePlace {
  return { ...place, pki };
}

export function addressOf({ mount, path }: Pick<CertificatePlace, "mount" | "path">): string {
  return `${mount}/${path}`;
}
