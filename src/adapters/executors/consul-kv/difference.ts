import type { KvEntry } from "../../../clients/consul/kv.ts";
import type { Change } from "../../../domain/resource.ts";
import type { Json } from "../../../lib/json.ts";
import { fingerprint, isSamePlace, nameIn, type Known } from "./memory.ts";
import type { KvSettings, Place } from "./settings.ts";

/** What is to be done about one key. */
export interface KeyChange {
  readonly action: "create" | "update" | "destroy" | "none";
  readonly place: Place;
  /** The whole key. */
  readonly key: string;
  /** What is there now. */
  readonly entry: KvEntry | null;
  /** What is wanted; null for `destroy`. */
  readonly text: string | null;
  /** Why it may not be done: `foreign` is another's key, `changed` one of ours that another wrote since. */
  readonly objection: "foreign" | "changed" | null;
}

/** What Consul has at a place. */
export interface Found {
  readonly place: Place;
  readonly entries: readonly KvEntry[];
}

export interface Comparing {
  readonly found: readonly Found[];
  readonly known: Known;
  readonly mark: number;
}

/** Everything that parts what is from what is wanted, key by key. Pure. */
export function differences(wanted: KvSettings, of: Comparing): readonly KeyChange[] {
  const here = of.found.find(({ place }) => isSamePlace(place, wanted.place));
  const entries = new Map((here?.entries ?? []).map((entry) => [entry.key, entry]));
  const changes: KeyChange[] = [];
  for (const [name, text] of wanted.keys) {
    const key = `${wanted.place.prefix}${name}`;
    const entry = entries.get(key) ?? null;
    const about = { place: wanted.place, key, entry, text };
    changes.push({ ...about, ...judge(about, of) });
  }
  return [...changes, ...leftovers(wanted, of)];
}

function judge(
  about: Pick<KeyChange, "place" | "entry" | "text">,
  of: Comparing,
): Pick<KeyChange, "action" | "objection"> {
  const { place, entry, text } = about;
  if (entry === null) return { action: "create", objection: null };
  if (!isOurs(entry, place, of)) return { action: "update", objection: "foreign" };
  if (text !== null && entry.value.equals(Buffer.from(text)))
    return { action: "none", objection: null };
  return { action: "update", objection: isChanged(entry, place, of) ? "changed" : null };
}

/** Keys of this group that nobody wants any more, here and where it was before. Others' keys are not even mentioned. */
function leftovers(wanted: KvSettings, of: Comparing): readonly KeyChange[] {
  return of.found.flatMap(({ place, entries }) =>
    entries.flatMap((entry): readonly KeyChange[] => {
      const name = nameIn(place, entry);
      if (isSamePlace(place, wanted.place) && wanted.keys.has(name)) return [];
      if (!isOurs(entry, place, of)) return [];
      const objection = isChanged(entry, place, of) ? "changed" : null;
      return [{ action: "destroy", place, key: entry.key, entry, text: null, objection }];
    }),
  );
}

/** By its mark, or because the record knows it and it was not made anew since: who writes a key by hand takes its mark off. */
export function isOurs(entry: KvEntry, place: Place, { known, mark }: Comparing): boolean {
  if (entry.flags === mark) return true;
  const { memory } = known;
  if (memory === null || !isSamePlace(memory.place, place)) return false;
  return memory.keys[nameIn(place, entry)]?.[0] === entry.createIndex;
}

/** Whether somebody else wrote it since this group did. */
function isChanged(entry: KvEntry, place: Place, { known, mark }: Comparing): boolean {
  if (entry.flags !== mark) return true;
  const { memory, attempted } = known;
  if (memory === null || !isSamePlace(memory.place, place)) return false;
  const name = nameIn(place, entry);
  const written = memory.keys[name]?.[1];
  if (written === undefined) return false;
  if (fingerprint(entry.value) === written) return false;
  // An attempt that was cut off has written some keys anew and not others.
  const tried =
    attempted !== null && isSamePlace(attempted.place, place)
      ? attempted.keys.get(name)
      : undefined;
  return tried === undefined || !entry.value.equals(Buffer.from(tried));
}

/** As plans, applies and drift show it. */
export function shownChange({ action, place, key, entry, text }: KeyChange): Change {
  const about = { address: addressOf(place, key), action };
  if (action === "none") return about;
  return {
    ...about,
    ...(entry === null ? {} : { before: shownValue(entry.value.toString("utf8")) }),
    ...(text === null ? {} : { after: shownValue(text) }),
  };
}

/** A key, with its datacenter where one is named. */
export function addressOf({ datacenter }: Place, key: string): string {
  return datacenter === null ? key : `${datacenter}:${key}`;
}

const mostShown = 1_024;

/** Values of half a megabyte belong neither into plans nor into the database. */
export function shownValue(text: string): Json {
  return text.length <= mostShown ? text : `${text.slice(0, mostShown)}… (${text.length} in all)`;
}
