import type { ConsulClient } from "../../../clients/consul/client.ts";
import { kvLimits, transact, type KvOperation } from "../../../clients/consul/kv.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { ExecutorContext } from "../../../ports/executor.ts";
import type { Found } from "./difference.ts";
import { isSamePlace, type Known } from "./memory.ts";
import type { Place } from "./settings.ts";

/**
 * A list without a key proves nothing: Consul leaves out what the token may not read. So each key that this group may have made and
 * that is neither listed nor wanted is asked for by its name, which a token without permission is refused.
 */
export function absenceChecks(
  { place, entries }: Found,
  { memory, attempted }: Known,
  wanted: Iterable<string>,
): readonly KvOperation[] {
  const names = new Set<string>();
  if (memory !== null && isSamePlace(memory.place, place))
    for (const name of Object.keys(memory.keys)) names.add(name);
  if (attempted !== null && isSamePlace(attempted.place, place))
    for (const name of attempted.keys.keys()) names.add(name);
  for (const name of wanted) names.delete(name);
  for (const { key } of entries) names.delete(key.slice(place.prefix.length));
  return [...names].map((name) => ({ verb: "check-not-exists", key: `${place.prefix}${name}` }));
}

/** What is thrown when such a key is there after all. */
export function hiddenKey(key: string): GlasshouseError {
  return new GlasshouseError(
    "forbidden",
    `The key ${key} is in Consul but was not shown: the token may not read it, or it was made just now.`,
  );
}

/** Returns only when none of the keys is there. Errors: `forbidden`, also when one is; those of the client. */
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
    throw hiddenKey(part[outcome.faults[0]?.at ?? 0] ?? "");
  }
}
