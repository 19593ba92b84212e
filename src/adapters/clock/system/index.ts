import { randomBytes } from "node:crypto";
import { formatId, type IdKind } from "../../../domain/id.ts";
import type { Clock } from "../../../ports/clock.ts";

const randomLength = 10;
/** The longest delay that a timer of Node takes; longer ones are made of several. */
const longestTimerMs = 2 ** 31 - 1;
/** Timers of Node go by a coarser clock than `monotonic`, and may come early by it: so much is still in time, more is waited for. */
const earlyMs = 1;

/**
 * The machine's own clock. Its timers do not keep the process alive: what serves (a socket, a child) does. Ids made in
 * the same millisecond, or after the wall clock jumped back, still sort in the order they were made.
 */
export class SystemClock implements Clock {
  #lastMs = 0;
  readonly #random = new Uint8Array(randomLength);

  now(): number {
    return Date.now();
  }

  monotonic(): number {
    return performance.now();
  }

  id(kind: IdKind): string {
    const nowMs = Date.now();
    if (nowMs > this.#lastMs) {
      this.#lastMs = nowMs;
      drawRandom(this.#random);
    } else {
      countOn(this.#random);
    }
    return formatId(kind, this.#lastMs, this.#random);
  }

  after(delayMs: number, fn: () => void): () => void {
    const dueMs = performance.now() + delayMs;
    let timer: NodeJS.Timeout | null = null;
    const wait = (restMs: number): void => {
      timer = setTimeout(come, Math.max(0, Math.min(restMs, longestTimerMs)));
      timer.unref();
    };
    const come = (): void => {
      const restMs = dueMs - performance.now();
      if (restMs < earlyMs) fn();
      else wait(restMs);
    };
    wait(delayMs);
    return () => {
      if (timer !== null) clearTimeout(timer);
    };
  }
}

/** Random bytes are fetched for many ids at once: each call to the system costs more than the rest of an id. */
let pool: Buffer = Buffer.alloc(0);
let used = 0;

/** 80 bits with the highest one clear, so that counting on cannot overflow within a millisecond. */
function drawRandom(into: Uint8Array): void {
  if (used + randomLength > pool.length) {
    pool = randomBytes(4_000);
    used = 0;
  }
  into.set(pool.subarray(used, used + randomLength));
  into[0] = (into[0] ?? 0) & 0x7f;
  used += randomLength;
}

/** The next number, the last byte being the lowest. */
function countOn(bytes: Uint8Array): void {
  for (let at = bytes.length - 1; at >= 0; at -= 1) {
    const next = (bytes[at] ?? 0) + 1;
    bytes[at] = next % 256;
    if (next < 256) return;
  }
}
