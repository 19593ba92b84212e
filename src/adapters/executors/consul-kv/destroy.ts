import type { ConsulClient } from "../../../clients/consul/client.ts";
import type { KvOperation } from "../../../clients/consul/kv.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { ExecutorContext } from "../../../ports/executor.ts";
import { absenceChecks, hiddenKey } from "./absence.ts";
import { isOurs, type Comparing } from "./difference.ts";
import { takeFences, type Fence } from "./fence.ts";
import { clientOf, look, throwIfStopped, type KvHost } from "./host.ts";
import { markOf, recall, type Known } from "./memory.ts";
import { send } from "./transactions.ts";

/** Somebody may write a key between the look and the removal, which then looks again. */
const mostTries = 5;

/**
 * Removes the keys that this group made, each by its name and only as it was seen, and proves of every other key of the record
 * that it is gone: a list without it, or a refusal, proves nothing. Keys of others stay. Then the fence goes.
 */
export async function destroy(host: KvHost, ctx: ExecutorContext): Promise<void> {
  throwIfStopped(ctx);
  const known = await recall(ctx, host.datacenter);
  // Never evaluated to something that could be written, so nothing was.
  if (known.places.length === 0) return;
  const client = clientOf(host);
  const { places } = known;
  const fences = await takeFences(client, ctx, { places, serial: known.serial + 1 });
  for (const fence of fences) await clear(client, ctx, { fence, known });
}

async function clear(
  client: ConsulClient,
  ctx: ExecutorContext,
  { fence, known }: { readonly fence: Fence; readonly known: Known },
): Promise<void> {
  const places = known.places.filter(({ datacenter }) => datacenter === fence.datacenter);
  for (let tries = 0; tries < mostTries; tries += 1) {
    const found = await look(client, ctx, places);
    const operations = removals({ found, known, mark: markOf(ctx.owner) });
    const { refused } = await send(client, ctx, { fence, operations, removesFence: true });
    if (refused === null) {
      ctx.log(`[glasshouse] ${operations.length} keys are gone from Consul`);
      return;
    }
    if (refused.operation.verb === "check-not-exists") throw hiddenKey(refused.operation.key);
  }
  throw new GlasshouseError(
    "provider-failed",
    `Somebody writes the keys of group ${ctx.group} all the time, so they were not removed.`,
  );
}

/** Ours are removed; those of the record that are not shown must be proven gone; those that are another's now are left alone. */
function removals(of: Comparing): readonly KvOperation[] {
  return of.found.flatMap(({ place, entries }) => {
    const ours = entries.filter((entry) => isOurs(entry, place, of));
    return [
      ...ours.map(({ key, modifyIndex: index }) => ({ verb: "delete-cas" as const, key, index })),
      ...absenceChecks({ place, entries }, of.known, []),
    ];
  });
}
