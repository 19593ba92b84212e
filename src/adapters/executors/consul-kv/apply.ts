import type { ConsulClient } from "../../../clients/consul/client.ts";
import type { KvEntry, KvOperation } from "../../../clients/consul/kv.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { ObservedResource } from "../../../domain/resource.ts";
import type { Values } from "../../../domain/value.ts";
import type { ExecutorContext, ExecutorPlan, ExecutorResult } from "../../../ports/executor.ts";
import { absenceChecks, hiddenKey } from "./absence.ts";
import {
  addressOf,
  differences,
  shownChange,
  shownValue,
  type Comparing,
  type KeyChange,
} from "./difference.ts";
import { takeFences, type Fence } from "./fence.ts";
import { clientOf, look, throwIfStopped, type KvHost } from "./host.ts";
import {
  distinctPlaces,
  isSamePlace,
  markOf,
  memoryOf,
  nameIn,
  recall,
  type Known,
} from "./memory.ts";
import { parseSettings, type KvSettings, type Place } from "./settings.ts";
import { refuseTooLarge, send } from "./transactions.ts";

/** What would be done, key by key, and exactly which version of each key it was made for. */
export async function plan(host: KvHost, ctx: ExecutorContext): Promise<ExecutorPlan> {
  const client = clientOf(host);
  const wanted = parseSettings(ctx.settings, host.datacenter);
  refuseTooLarge(wanted);
  const known = await recall(ctx, host.datacenter);
  const places = distinctPlaces([wanted.place, ...known.places]);
  const of = { found: await look(client, ctx, places), known, mark: markOf(ctx.owner) };
  const changes = differences(wanted, of);
  refuseForeign(ctx, changes);
  return { changes: changes.map(shownChange), saved: savedOf(changes) };
}

/**
 * Looks, then writes only the difference: new owner's fence first, then transactions in which each key is compared with what was
 * seen. A key that somebody else has changed is not overwritten, unless a look or the plan that is applied has shown it.
 */
export async function apply(host: KvHost, ctx: ExecutorContext): Promise<ExecutorResult> {
  throwIfStopped(ctx);
  const client = clientOf(host);
  const wanted = parseSettings(ctx.settings, host.datacenter);
  const mark = markOf(ctx.owner);
  refuseTooLarge(wanted);
  const known = await recall(ctx, host.datacenter);
  const places = distinctPlaces([wanted.place, ...known.places]);
  const serial = known.serial + 1;
  const fences = await takeFences(client, ctx, { places, serial });
  const of = { found: await look(client, ctx, places), known, mark };
  const changes = differences(wanted, of);
  refuseForeign(ctx, changes);
  refuseStalePlan(ctx, changes);
  if (ctx.sealedPlan === null) refuseChanged(ctx, changes, known);
  const written = await write(client, ctx, { ...of, changes, fences, wanted });
  const entries = entriesAfter(changes, written);
  return {
    outputs: outputsOf(ctx, wanted),
    observed: observedOf(wanted.place, entries),
    changes: changes.filter(({ action }) => action !== "none").map(shownChange),
    memory: memoryOf({ place: wanted.place, serial, keys: keysOf(wanted, entries) }),
  };
}

/**
 * Creates and updates first, removals last: who reads meanwhile finds the new before the old is gone. A datacenter where keys were
 * and are not wanted any more is left without a trace, its fence included.
 */
async function write(
  client: ConsulClient,
  ctx: ExecutorContext,
  of: Comparing & {
    readonly changes: readonly KeyChange[];
    readonly fences: readonly Fence[];
    readonly wanted: KvSettings;
  },
): Promise<ReadonlyMap<string, Omit<KvEntry, "value">>> {
  const total = of.changes.filter(({ action }) => action !== "none").length;
  const written = new Map<string, Omit<KvEntry, "value">>();
  let done = 0;
  for (const fence of of.fences) {
    const here = of.changes.filter(({ place }) => place.datacenter === fence.datacenter);
    const removals = here.filter(({ action }) => action === "destroy");
    const others = here.filter(({ action }) => action !== "destroy");
    const sent = (count: number): void => {
      done += count;
      ctx.progress({ done, total, message: `${done} of ${total} keys written` });
    };
    for (const part of [others, removals]) {
      const isLast = part === removals;
      const gone = isLast ? absencesAt(fence, of) : [];
      const operations = [...operationsOf(part, of.mark), ...gone];
      const removesFence = isLast && fence.datacenter !== of.wanted.place.datacenter;
      const sending = { fence, operations, sent, removesFence };
      const { entries, refused } = await send(client, ctx, sending);
      for (const entry of entries)
        written.set(addressOf({ ...fence, prefix: "" }, entry.key), entry);
      if (refused === null) continue;
      const { verb, key } = refused.operation;
      throw verb === "check-not-exists" ? hiddenKey(key) : conflict(ctx, [key], "just now");
    }
  }
  if (total > 0) ctx.log(`[glasshouse] ${total} of ${of.changes.length} keys changed in Consul`);
  return written;
}

/** Keys of one datacenter that are not wanted any more and were not listed: they must be gone. */
function absencesAt(
  fence: Fence,
  of: Comparing & { readonly wanted: KvSettings },
): readonly KvOperation[] {
  return of.found.flatMap((found) => {
    if (found.place.datacenter !== fence.datacenter) return [];
    const wanted = isSamePlace(found.place, of.wanted.place) ? of.wanted.keys.keys() : [];
    return absenceChecks(found, of.known, wanted);
  });
}

function operationsOf(changes: readonly KeyChange[], mark: number): readonly KvOperation[] {
  return changes.flatMap(({ action, key, entry, text }): readonly KvOperation[] => {
    if (action === "none") return [];
    const index = entry?.modifyIndex ?? 0;
    if (text === null) return [{ verb: "delete-cas", key, index }];
    const value = Buffer.from(text).toString("base64");
    return [{ verb: "cas", key, value, flags: mark, index }];
  });
}

/** Errors: `conflict` for keys that are there and that this group did not make. No plan and no look makes them ours. */
function refuseForeign(ctx: ExecutorContext, changes: readonly KeyChange[]): void {
  const foreign = changes.filter(({ objection }) => objection === "foreign");
  if (foreign.length === 0) return;
  throw new GlasshouseError(
    "conflict",
    `Group ${ctx.group} would write keys that are there already and that it did not make: ${named(foreign)}. Nothing was written. Remove them or choose another prefix.`,
  );
}

/** Errors: `conflict` for keys that another has written since this group did, and nobody was told of it yet. */
function refuseChanged(ctx: ExecutorContext, changes: readonly KeyChange[], known: Known): void {
  const changed = changes.filter(({ objection }) => objection === "changed");
  if (changed.length === 0 || known.isDriftKnown) return;
  throw conflict(
    ctx,
    changed.map(({ key }) => key),
    "since it was applied",
  );
}

function conflict(ctx: ExecutorContext, keys: readonly string[], when: string): GlasshouseError {
  const shown = [...keys.slice(0, 5), ...(keys.length > 5 ? [`${keys.length - 5} more`] : [])];
  return new GlasshouseError(
    "conflict",
    `Somebody else has changed keys of group ${ctx.group} ${when}: ${shown.join(", ")}. They were not overwritten. \`glasshouse env drift\` shows what they are; an update after that puts them right.`,
  );
}

function named(changes: readonly KeyChange[]): string {
  const shown = changes.slice(0, 5).map(({ key }) => key);
  return [...shown, ...(changes.length > 5 ? [`${changes.length - 5} more`] : [])].join(", ");
}

/** What is done to which version of each key. */
function savedOf(changes: readonly KeyChange[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(linesOf(changes)));
}

function linesOf(changes: readonly KeyChange[]): readonly string[] {
  return changes
    .filter(({ action }) => action !== "none")
    .map(({ action, place, key, entry }) =>
      JSON.stringify([action, addressOf(place, key), entry?.modifyIndex ?? 0]),
    );
}

/** Errors: `plan-stale`, naming what moved. */
function refuseStalePlan({ sealedPlan, group }: ExecutorContext, changes: readonly KeyChange[]) {
  if (sealedPlan === null) return;
  const planned: unknown = JSON.parse(new TextDecoder().decode(sealedPlan));
  const then = new Set(Array.isArray(planned) ? planned.map(String) : []);
  const now = linesOf(changes);
  if (then.size === now.length && now.every((line) => then.has(line))) return;
  const moved = [
    ...now.filter((line) => !then.has(line)),
    ...[...then].filter((line) => !now.includes(line)),
  ];
  throw new GlasshouseError(
    "plan-stale",
    `Keys of group ${group} are not as they were when the plan was made: ${moved.slice(0, 5).join(", ")}.`,
  );
}

interface EntryAfter {
  readonly name: string;
  readonly key: string;
  readonly text: string;
  readonly createIndex: number;
}

/** The keys that are wanted, as they are now. */
function entriesAfter(
  changes: readonly KeyChange[],
  written: ReadonlyMap<string, Omit<KvEntry, "value">>,
): readonly EntryAfter[] {
  return changes.flatMap(({ place, key, entry, text }) => {
    if (text === null) return [];
    const now = written.get(addressOf({ ...place, prefix: "" }, key)) ?? entry;
    return [{ name: nameIn(place, { key }), key, text, createIndex: now?.createIndex ?? 0 }];
  });
}

function keysOf(
  { keys }: KvSettings,
  entries: readonly EntryAfter[],
): readonly (readonly [string, { readonly createdAt: number; readonly text: string }])[] {
  return entries
    .filter(({ name }) => keys.has(name))
    .map(({ name, text, createIndex }) => [name, { createdAt: createIndex, text }]);
}

/** An output is the value of the key of its name; `prefix` is the prefix unless there is such a key. */
export function outputsOf(
  { declaredOutputs }: Pick<ExecutorContext, "declaredOutputs">,
  { place, keys }: KvSettings,
): Values {
  const found = declaredOutputs.flatMap((name) => {
    const value = keys.get(name) ?? (name === "prefix" ? place.prefix : undefined);
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(found);
}

export function observedOf(
  place: Place,
  entries: readonly { readonly key: string; readonly text: string }[],
): readonly ObservedResource[] {
  return entries.map(({ key, text }) => ({
    address: addressOf(place, key),
    type: "consul_key",
    externalId: key,
    attributes: {
      key,
      value: shownValue(text),
      bytes: Buffer.byteLength(text),
      ...(place.datacenter === null ? {} : { datacenter: place.datacenter }),
    },
  }));
}
