import type { ConsulClient } from "../../../clients/consul/client.ts";
import {
  bytesOf,
  kvLimits,
  transact,
  type KvEntry,
  type KvFault,
  type KvOperation,
} from "../../../clients/consul/kv.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { ExecutorContext } from "../../../ports/executor.ts";
import { checkOf, removalOf, type Fence } from "./fence.ts";
import { throwIfStopped } from "./host.ts";

/** Left free for the fence's own operation. */
const roomForFence = 1_024;
export const mostRequestBytes = kvLimits.requestBytes - roomForFence;
const mostOperations = kvLimits.operations - 1;

/**
 * Operations in as few transactions as Consul takes: up to 127 beside the fence's, and half a mebibyte. Pure. Each operation fits
 * by itself (`refuseTooLarge`).
 */
export function batches(operations: readonly KvOperation[]): readonly (readonly KvOperation[])[] {
  const all: KvOperation[][] = [];
  let bytes = Infinity;
  for (const operation of operations) {
    const more = bytesOf(operation);
    const last = all.at(-1);
    if (last !== undefined && last.length < mostOperations && bytes + more <= mostRequestBytes) {
      last.push(operation);
      bytes += more;
    } else {
      all.push([operation]);
      bytes = more;
    }
  }
  return all;
}

/** Before anything is written. Errors: `step-failed`, naming the keys. */
export function refuseTooLarge(operations: readonly KvOperation[]): void {
  const large = operations.filter((operation) => bytesOf(operation) > mostRequestBytes);
  if (large.length === 0) return;
  const shown = large.slice(0, 5).map(({ key }) => key);
  throw new GlasshouseError(
    "step-failed",
    `Too large for Consul, which takes at most 512 KiB in a request (a value of about 390,000 bytes): ${shown.join(", ")}. Nothing was written.`,
  );
}

export interface Transacted {
  /** Keys that were written, as they are now. */
  readonly entries: readonly Omit<KvEntry, "value">[];
  /** What was refused, with its operations; later ones were not tried. */
  readonly refused: { readonly operation: KvOperation; readonly what: string } | null;
}

/**
 * Sends the operations under the fence, one transaction after the other. With `removesFence` the last one removes the fence
 * itself. Errors: `stale-token` when another owner has replaced the fence, `step-interrupted`, those of the client.
 */
export async function send(
  client: ConsulClient,
  ctx: ExecutorContext,
  of: {
    readonly fence: Fence;
    readonly operations: readonly KvOperation[];
    readonly removesFence?: boolean;
    readonly sent?: (count: number) => void;
  },
): Promise<Transacted> {
  const { fence } = of;
  const all = batches(of.operations);
  const parts = all.length === 0 && of.removesFence === true ? [[]] : all;
  const entries: Omit<KvEntry, "value">[] = [];
  for (const [at, part] of parts.entries()) {
    throwIfStopped(ctx);
    const isLast = at === parts.length - 1;
    const guard = isLast && of.removesFence === true ? removalOf(fence) : checkOf(fence);
    const options = { datacenter: fence.datacenter, signal: ctx.signal };
    const outcome = await transact(client, [guard, ...part], options);
    if (outcome.kind === "refused") return { entries, refused: refusal(part, outcome.faults) };
    for (const entry of outcome.entries) if (entry.key !== fence.key) entries.push(entry);
    of.sent?.(part.length);
  }
  return { entries, refused: null };
}

function refusal(
  part: readonly KvOperation[],
  faults: readonly KvFault[],
): NonNullable<Transacted["refused"]> {
  if (faults.some(({ at }) => at === 0))
    throw new GlasshouseError(
      "stale-token",
      "Consul refuses to write: another worker has taken this group over since.",
    );
  const [fault] = faults;
  const operation = fault === undefined ? undefined : part[fault.at - 1];
  if (fault === undefined || operation === undefined)
    throw new GlasshouseError("internal", "Consul refused a transaction without saying which key.");
  return { operation, what: fault.what };
}
