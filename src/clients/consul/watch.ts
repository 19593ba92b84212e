import { setTimeout as pause } from "node:timers/promises";
import { backoff } from "../../lib/backoff.ts";
import { GlasshouseError } from "../../domain/errors.ts";
import { longestWaitMs } from "./client.ts";

/** Asks Consul to answer only when its index is past this one, or after the time. */
export interface WaitFor {
  readonly index: number;
  readonly waitMs: number;
}

/** What was read, and Consul's index then. */
export interface Indexed<T> {
  readonly value: T;
  readonly index: number;
}

export interface Watching<T> {
  /** One read; with null it answers at once. */
  readonly read: (wait: WaitFor | null, signal: AbortSignal) => Promise<Indexed<T>>;
  /** Told what there is at first, and after each change. */
  readonly changed: (value: T) => void;
  /** A read failed; it is tried again by itself. */
  readonly failed?: (error: unknown) => void;
  readonly signal: AbortSignal;
}

/** Between two reads, so that a value that changes all the time costs no more than this; with jitter, as many may wait for one. */
const leastPauseMs = 50;
/** Values that one server follows at once: each holds a connection. */
export const mostFollowed = 128;

const failurePauses = { baseMs: 500, mostMs: 15_000 } as const;

/**
 * Follows a value by blocking queries until the signal aborts, then resolves. Consul's rules for their index are kept
 * (https://developer.hashicorp.com/consul/api-docs/features/blocking): it is forgotten when it goes backwards, as after a restore,
 * and never 0 once something was read, which would not block. After a failure it is forgotten too, so that it is known at once, and
 * not at the next change, that Consul answers again.
 */
export async function watch<T>({ read, changed, failed, signal }: Watching<T>): Promise<void> {
  let index = 0;
  let failures = 0;
  while (!signal.aborted) {
    let waitMs = leastPauseMs;
    try {
      const seen = await read(index === 0 ? null : { index, waitMs: longestWaitMs }, signal);
      if (isAborted(signal)) return;
      failures = 0;
      // A wait that ended without a change gives the index that it was asked with.
      if (index === 0 || seen.index !== index) changed(seen.value);
      index = seen.index < index ? 0 : Math.max(seen.index, 1);
    } catch (error) {
      if (isAborted(signal)) return;
      failures += 1;
      index = 0;
      failed?.(error);
      const known = error instanceof GlasshouseError ? error.retryAfterMs : null;
      const own = backoff({ attempt: failures, ...failurePauses, random: Math.random() });
      waitMs = Math.max(known ?? 0, own);
    }
    await pause(waitMs * (0.75 + Math.random() / 2), null, { signal }).catch(() => undefined);
  }
}

/** Asked anew each time: the compiler takes what it saw before an `await` for lasting. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
