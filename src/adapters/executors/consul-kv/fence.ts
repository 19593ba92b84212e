import type { ConsulClient } from "../../../clients/consul/client.ts";
import { getKey, transact, type KvOperation } from "../../../clients/consul/kv.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { ExecutorContext } from "../../../ports/executor.ts";
import { rememberPlaces } from "./memory.ts";
import { ownPrefix, type Place } from "./settings.ts";
import { throwIfStopped } from "./host.ts";

/** A key that is written anew by each owner of a group before it acts, and checked by each of its transactions. */
export interface Fence {
  readonly datacenter: string | null;
  readonly key: string;
  readonly index: number;
}

const mostTries = 5;

/**
 * Makes this attempt the only one that can write, in each of the datacenters. The order is what makes it safe: the fence is read,
 * then the store proves that the step is still ours, then the fence is replaced if nobody did meanwhile. An owner that came later
 * has replaced it (and this one fails, or asks the store again, which refuses), or will, and then Consul refuses every
 * transaction that carries this fence. Errors: `stale-token`, those of the client.
 */
export async function takeFences(
  client: ConsulClient,
  ctx: ExecutorContext,
  of: { readonly places: readonly Place[]; readonly serial: number },
): Promise<readonly Fence[]> {
  const datacenters = [...new Set(of.places.map(({ datacenter }) => datacenter))];
  const fences: Fence[] = [];
  for (const datacenter of datacenters)
    fences.push(await takeFence(client, ctx, { ...of, datacenter }));
  return fences;
}

async function takeFence(
  client: ConsulClient,
  ctx: ExecutorContext,
  of: {
    readonly places: readonly Place[];
    readonly serial: number;
    readonly datacenter: string | null;
  },
): Promise<Fence> {
  const { datacenter } = of;
  const key = fenceKey(ctx);
  const options = { datacenter, signal: ctx.signal };
  for (let tries = 0; tries < mostTries; tries += 1) {
    throwIfStopped(ctx);
    const before = await getKey(client, key, options);
    await rememberPlaces(ctx, of);
    throwIfStopped(ctx);
    const { stepId, token, owner } = ctx;
    const value = Buffer.from(JSON.stringify({ owner, stepId, token })).toString("base64");
    const index = before?.modifyIndex ?? 0;
    const outcome = await transact(client, [{ verb: "cas", key, value, flags: 0, index }], options);
    const taken = outcome.kind === "taken" ? outcome.entries[0] : undefined;
    if (taken !== undefined) return { datacenter, key, index: taken.modifyIndex };
  }
  throw new GlasshouseError(
    "provider-failed",
    `The fence ${key} in Consul is written by others all the time, so group ${ctx.group} was not begun.`,
  );
}

/** The first operation of each transaction. */
export function checkOf({ key, index }: Fence): KvOperation {
  return { verb: "check-index", key, index };
}

/** In place of the check, in the last transaction of a group that is gone. */
export function removalOf({ key, index }: Fence): KvOperation {
  return { verb: "delete-cas", key, index };
}

/** One for each group: groups of one environment are worked on at the same time, by different owners. */
function fenceKey({ environment, template, group }: ExecutorContext): string {
  return `${ownPrefix}fence/${environment.id}/${template.name}/${group}`;
}
