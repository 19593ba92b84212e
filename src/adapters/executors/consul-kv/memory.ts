import { createHash, hash } from "node:crypto";
import { z } from "zod";
import type { KvEntry } from "../../../clients/consul/kv.ts";
import type { Json } from "../../../lib/json.ts";
import type { ExecutorContext } from "../../../ports/executor.ts";
import { parseSettings, type KvSettings, type Place } from "./settings.ts";

const placeSchema = z.object({ datacenter: z.string().nullable(), prefix: z.string() });

/** What the record of a group holds of its last apply that went well. */
const memorySchema = z.object({
  place: placeSchema,
  /** Serial of the newest list of places that this apply has tidied up. */
  serial: z.int(),
  /** By key below the prefix: where in Consul's time it was made, and a fingerprint of what was written. */
  keys: z.record(z.string(), z.tuple([z.number(), z.string()])),
});

export type Memory = z.output<typeof memorySchema>;

/** What is known of a group's keys beside what Consul says. */
export interface Known {
  readonly memory: Memory | null;
  /** What the attempt before wanted; null when there was none. */
  readonly attempted: KvSettings | null;
  /** Everywhere that keys of this group may be. */
  readonly places: readonly Place[];
  readonly serial: number;
  /** A look has found it changed, and somebody wants it made right. */
  readonly isDriftKnown: boolean;
}

export async function recall(
  ctx: ExecutorContext,
  defaultDatacenter: string | null,
): Promise<Known> {
  const { previous } = ctx;
  const memory = memorySchema
    .nullable()
    .catch(null)
    .parse(previous?.memory ?? null);
  const attempted = previous === null ? null : settingsOrNull(previous.settings, defaultDatacenter);
  const copy = await ctx.state.inProgress();
  const listed = copy === null ? [] : placesSchema.parse(JSON.parse(textOf(copy.bytes)));
  const serial = Math.max(copy?.serial ?? 0, memory?.serial ?? 0);
  const isTidy = memory !== null && memory.serial >= (copy?.serial ?? 0);
  return {
    memory,
    attempted,
    places: distinctPlaces([
      ...(isTidy ? [] : listed),
      ...(memory === null ? [] : [memory.place]),
      ...(attempted === null ? [] : [attempted.place]),
    ]),
    serial,
    isDriftKnown: previous?.drift === "drifted" || previous?.drift === "missing",
  };
}

/**
 * Writes down where keys may come to be, before any does, so that a crash leaves none that nobody looks for. The store refuses it
 * with `stale-token` when the step has another owner now, which is what the fence in Consul builds on.
 */
export async function rememberPlaces(
  ctx: Pick<ExecutorContext, "state">,
  of: { readonly places: readonly Place[]; readonly serial: number },
): Promise<void> {
  await ctx.state.saveProgress({
    bytes: new TextEncoder().encode(JSON.stringify(of.places)),
    serial: of.serial,
    lineage: "consul-kv",
  });
}

/** What a finished apply leaves in the record. */
export function memoryOf(of: {
  readonly place: Place;
  readonly serial: number;
  readonly keys: Iterable<readonly [string, { readonly createdAt: number; readonly text: string }]>;
}): Json {
  const keys = [...of.keys].map(
    ([key, { createdAt, text }]) => [key, [createdAt, fingerprint(text)]] as const,
  );
  const { datacenter, prefix } = of.place;
  return { place: { datacenter, prefix }, serial: of.serial, keys: Object.fromEntries(keys) };
}

/** Enough to tell whether somebody changed a value; the value itself is in the record's settings. */
export function fingerprint(value: string | Buffer): string {
  return hash("sha256", value, "base64url").slice(0, 11);
}

/**
 * The mark of a group on its keys, in the flags that Consul keeps beside each value: 52 bits of a hash of its owner, so that
 * JSON's numbers hold it. Who writes a key by hand does not set it.
 */
export function markOf(owner: string): number {
  const bytes = createHash("sha256").update(owner).digest();
  return bytes.readUIntBE(0, 6) * 16 + ((bytes[6] ?? 0) & 0x0f);
}

export function isSamePlace(one: Place, other: Place): boolean {
  return one.datacenter === other.datacenter && one.prefix === other.prefix;
}

export function distinctPlaces(places: readonly Place[]): readonly Place[] {
  return places.filter((place, at) => places.findIndex((one) => isSamePlace(one, place)) === at);
}

/** The key below the place's prefix. */
export function nameIn(place: Place, entry: Pick<KvEntry, "key">): string {
  return entry.key.slice(place.prefix.length);
}

const placesSchema = z.array(placeSchema);

/** What could not be read as settings was never written either. */
function settingsOrNull(
  settings: Parameters<typeof parseSettings>[0],
  defaultDatacenter: string | null,
): KvSettings | null {
  try {
    return parseSettings(settings, defaultDatacenter);
  } catch {
    return null;
  }
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
