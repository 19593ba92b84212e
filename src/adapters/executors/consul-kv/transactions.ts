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
import type { KvSettings } from "./settings.ts";

/** Left free for the fence's own operation. */
const roomForFence = 1_024;
export const mostRequestBytes = kvLimits.requestBytes - roomForFence;
/** Characters of a value that fits in whatever bytes they take. */
const surelyFits = 100_000;
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
export function refuseTooLarge({ place, keys }: KvSettings): void {
  const large = [...keys].filter(([name, text]) => {
    if (text.length < surelyFits) return false;
    const value = Buffer.from(text).toString("base64");
    const key = `${place.prefix}${name}`;
    return bytesOf({ verb: "cas", key, value, flags: 0, index: 0 }) > mostRequestBytes;
  });
  if (large.length === 0) return;
  const shown = large.slice(0, 5).map(([name]) => `${place.prefix}${name}`);
  throw new GlasshouseError(
    "step-failed",
    `Too large for Consul, which takes at most 512 KiB in a request (a value of about 390,000 bytes): ${shown.join(", ")}. Nothing was written.`,
  );
}

export interface Transacted {
  /** Keys that were written, as they are now. */
  readonly entries: readonly Omit<KvEntry, "value">[];
  /** The first operation that was refused; none of its transaction was done, and no later one was begun. */
  readonly refused: { readonly operation: KvOperation; readonly what: string } | null;
}

/** Consul makes several durable together; more only fill its queue. */
const inFlight = 4;

/**
 * Sends the operations under the fence, up to four transactions at a time, in no order that could be relied on. With `removesFence`
 * one last transaction removes the fence itself. Errors: `stale-token` when another owner has replaced the fence,
 * `step-interrupted`, those of the client; what was sent before has then ended, in whichever way.
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
  const parts = [...batches(of.operations)];
  const last = of.removesFence === true ? (parts.pop() ?? []) : null;
  const entries: Omit<KvEntry, "value">[] = [];
  const state: { refused: Transacted["refused"]; hasFailed: boolean } = {
    refused: null,
    hasFailed: false,
  };
  const sendPart = async (part: readonly KvOperation[], guard: KvOperation): Promise<void> => {
    throwIfStopped(ctx);
    const options = { datacenter: fence.datacenter, signal: ctx.signal };
    const outcome = await transact(client, [guard, ...part], options);
    if (outcome.kind === "refused") {
      state.refused ??= refusal(part, outcome.faults);
      return;
    }
    for (const entry of outcome.entries) if (entry.key !== fence.key) entries.push(entry);
    of.sent?.(part.length);
  };
  const waiting = parts.values();
  const sendSome = async (): Promise<void> => {
    try {
      for (const part of waiting) {
        if (state.refused !== null || state.hasFailed) return;
        await sendPart(part, checkOf(fence));
      }
    } catch (error) {
      state.hasFailed = true;
      throw error;
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: inFlight }, sendSome));
  for (const one of ended) if (one.status === "rejected") throw one.reason;
  if (last !== null && state.refused === null) await sendPart(last, removalOf(fence));
  return { entries, refused: state.refused };
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
