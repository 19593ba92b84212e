import type { KnownWorker } from "../ports/worker.ts";

export interface Sharer {
  readonly id: string;
  readonly labels: readonly string[];
}

/** Workers that look at checks: one that is about to go lets others do it. */
export function sharersOf(workers: readonly KnownWorker[]): readonly Sharer[] {
  return workers.filter(({ status, isLapsed }) => status === "working" && !isLapsed);
}

/**
 * The worker that follows checks of an environment: of those that offer the labels, the one that weighs most for it. All come to
 * the same without asking one another, and when one goes, only what it followed moves (rendezvous hashing, Thaler and
 * Ravishankar 1998). Null: none offers them.
 */
export function sharerOf(
  sharers: readonly Sharer[],
  of: { readonly environmentId: string; readonly runsOn: readonly string[] },
): string | null {
  const able = sharers.filter(({ labels }) => of.runsOn.every((label) => labels.includes(label)));
  let best: { readonly id: string; readonly weight: number } | null = null;
  for (const { id } of able) {
    const weight = hash(`${of.environmentId} ${id}`);
    if (best === null || weight > best.weight || (weight === best.weight && id > best.id))
      best = { id, weight };
  }
  return best?.id ?? null;
}

/** FNV-1a with the final mixing of MurmurHash3, so that ids that differ in their last letters weigh differently. */
function hash(text: string): number {
  let value = 0x81_1c_9d_c5;
  for (let at = 0; at < text.length; at += 1)
    value = Math.imul(value ^ text.charCodeAt(at), 0x01_00_01_93);
  value = Math.imul(value ^ (value >>> 16), 0x85_eb_ca_6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2_b2_ae_35);
  return (value ^ (value >>> 16)) >>> 0;
}
