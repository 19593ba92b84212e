import type { ConsulClient } from "../../../clients/consul/client.ts";
import { kvLimits, transact } from "../../../clients/consul/kv.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { DriftStatus } from "../../../domain/record.ts";
import type { ExecutorContext, Observation } from "../../../ports/executor.ts";
import { observedOf, outputsOf } from "./apply.ts";
import { differences, shownChange, type KeyChange } from "./difference.ts";
import { clientOf, look, type KvHost } from "./host.ts";
import { markOf, recall } from "./memory.ts";
import { parseSettings, type Place } from "./settings.ts";

/**
 * Looks at the keys of the record: one request, and one more for each 128 keys that are missing, as an answer without a key proves
 * nothing (keys that the token may not read are left out).
 */
export async function observe(host: KvHost, ctx: ExecutorContext): Promise<Observation> {
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
  return {
    drift: driftOf(changes),
    changes: changes.filter(({ action }) => action !== "none").map(shownChange),
    observed: observedOf(place, there),
    outputs: outputsOf(ctx, { place, keys: seen }),
  };
}

function driftOf(changes: readonly KeyChange[]): DriftStatus {
  if (changes.every(({ action }) => action === "none")) return "none";
  return changes.every(({ action }) => action === "create") ? "missing" : "drifted";
}

/**
 * Returns only when none of the keys is there: each is asked for by name, which a token without permission is refused. Errors:
 * `forbidden`, also when a key is there that was not shown; those of the client.
 */
export async function proveAbsent(
  client: ConsulClient,
  { signal }: Pick<ExecutorContext, "signal">,
  { place, keys }: { readonly place: Place; readonly keys: readonly string[] },
): Promise<void> {
  for (let from = 0; from < keys.length; from += kvLimits.operations) {
    const part = keys.slice(from, from + kvLimits.operations);
    const operations = part.map((key) => ({ verb: "check-not-exists" as const, key }));
    const options = { datacenter: place.datacenter, signal };
    const outcome = await transact(client, operations, options);
    if (outcome.kind === "taken") continue;
    const hidden = part[outcome.faults[0]?.at ?? 0] ?? "";
    throw new GlasshouseError(
      "forbidden",
      `The key ${hidden} is in Consul but was not shown: the token may not read it, or it was made just now.`,
    );
  }
}
