import { lookAtPrefix } from "../../../clients/consul/kv.ts";
import type { DriftStatus } from "../../../domain/record.ts";
import type { ExecutorContext, Observation } from "../../../ports/executor.ts";
import { proveAbsent } from "./absence.ts";
import { observedOf, outputsOf } from "./apply.ts";
import { differences, shownChange, type KeyChange } from "./difference.ts";
import { clientOf, look, throwIfStopped, type KvHost } from "./host.ts";
import { markOf, recall } from "./memory.ts";
import { parseSettings } from "./settings.ts";

/**
 * Looks at the keys of the record. What was as it should be when this process looked last, and has not changed, costs one request
 * for their names; else all of them are read in one, and there is one more for each 128 keys that are missing, as an answer without
 * a key proves nothing (keys that the token may not read are left out).
 */
export async function observe(host: KvHost, ctx: ExecutorContext): Promise<Observation> {
  const client = clientOf(host);
  const { looks } = host;
  const place = looks.placeOf(ctx);
  if (place !== null) {
    throwIfStopped(ctx);
    const { datacenter, prefix } = place;
    const seen = await lookAtPrefix(client, prefix, { datacenter, signal: ctx.signal });
    const same = looks.same(ctx, seen);
    if (same !== null) return same;
  }
  return lookInFull(host, ctx);
}

async function lookInFull(host: KvHost, ctx: ExecutorContext): Promise<Observation> {
  const client = clientOf(host);
  const wanted = parseSettings(ctx.settings, host.datacenter);
  const known = await recall(ctx, host.datacenter);
  const found = await look(client, ctx, [wanted.place]);
  const changes = differences(wanted, { found, known, mark: markOf(ctx.owner) });
  const missing = changes.filter(({ action }) => action === "create");
  await proveAbsent(client, ctx, { place: wanted.place, keys: missing.map(({ key }) => key) });
  const there = changes.flatMap(({ key, entry, text }) =>
    entry === null || text === null ? [] : [{ key, text: entry.value.toString("utf8") }],
  );
  const { place } = wanted;
  const seen = new Map(there.map(({ key, text }) => [key.slice(place.prefix.length), text]));
  const observation: Observation = {
    drift: driftOf(changes),
    changes: changes.filter(({ action }) => action !== "none").map(shownChange),
    observed: observedOf(place, there),
    outputs: outputsOf(ctx, { place, keys: seen }),
  };
  const [first] = found;
  if (observation.drift !== "none" || first === undefined) host.looks.forget(ctx);
  else {
    const names = first.entries.map(({ key }) => key);
    host.looks.keep(ctx, { place, index: first.index, names, observation });
  }
  return observation;
}

function driftOf(changes: readonly KeyChange[]): DriftStatus {
  if (changes.every(({ action }) => action === "none")) return "none";
  return changes.every(({ action }) => action === "create") ? "missing" : "drifted";
}
