import { z } from "zod";
import type { KvPlace } from "../../../clients/vault/kv.ts";
import type { ExecutorContext } from "../../../ports/executor.ts";

const placeSchema = z.object({ mount: z.string(), path: z.string(), pki: z.string() });

/** Where a key of the group is, or may be, and who issued for it. */
export type CertificatePlace = KvPlace & { readonly pki: string };

const numberedSchema = z.object({ serial: z.string(), notAfter: z.string(), pki: z.string() });

/** What the record of a group holds of its last apply that went well. */
const memorySchema = z.object({
  place: placeSchema,
  /** Of the key in the KV engine. */
  version: z.int(),
  /** Which wish for another certificate it fulfils. */
  rotation: z.int(),
  asked: z.object({
    role: z.string(),
    commonName: z.string(),
    altNames: z.array(z.string()),
    ttlMs: z.number(),
    renewBeforeMs: z.number(),
  }),
  facts: z.object({
    serial: z.string(),
    issuer: z.string(),
    notBefore: z.string(),
    notAfter: z.string(),
  }),
  /** Those before it that may be good still: revoked at the latest when the group is destroyed. */
  earlier: z.array(numberedSchema),
  /** Serial of the newest list of places that this apply has tidied up. */
  serial: z.int(),
});

export type Memory = z.output<typeof memorySchema>;

/** What is known of a group's key beside what Vault says. */
export interface Known {
  readonly memory: Memory | null;
  /** Everywhere that a key of this group may be. */
  readonly places: readonly CertificatePlace[];
  readonly serial: number;
  /** A look has found it changed, and somebody wants it made right. */
  readonly isDriftKnown: boolean;
}

const placesSchema = z.array(placeSchema);

export async function recall({
  previous,
  state,
}: Pick<ExecutorContext, "previous" | "state">): Promise<Known> {
  const memory = memorySchema
    .nullable()
    .catch(null)
    .parse(previous?.memory ?? null);
  const copy = await state.inProgress();
  const listed =
    copy === null ? [] : placesSchema.parse(JSON.parse(new TextDecoder().decode(copy.bytes)));
  const isTidy = memory !== null && memory.serial >= (copy?.serial ?? 0);
  return {
    memory,
    places: distinct([...(isTidy ? [] : listed), ...(memory === null ? [] : [memory.place])]),
    serial: Math.max(copy?.serial ?? 0, memory?.serial ?? 0),
    isDriftKnown: previous?.drift === "drifted" || previous?.drift === "missing",
  };
}

/**
 * Writes down where a key may come to be, before any does, so that a crash leaves none that nobody looks for. The store refuses it
 * with `stale-token` when the step has another owner now: then nothing is issued. Gives the list's serial.
 */
export async function rememberPlace(
  { state }: Pick<ExecutorContext, "state">,
  { places, serial }: Known,
  place: CertificatePlace,
): Promise<number> {
  const next = serial + 1;
  const bytes = new TextEncoder().encode(JSON.stringify(distinct([...places, place])));
  await state.saveProgress({ bytes, serial: next, lineage: "vault-certificates" });
  return next;
}

export function isSamePlace(one: KvPlace, other: KvPlace): boolean {
  return one.mount === other.mount && one.path === other.path;
}

function distinct(places: readonly CertificatePlace[]): readonly CertificatePlace[] {
  const isSame = (one: CertificatePlace, other: CertificatePlace): boolean =>
    isSamePlace(one, other) && one.pki === other.pki;
  return places.filter((place, at) => places.findIndex((one) => isSame(one, place)) === at);
}
