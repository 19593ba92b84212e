/** How long a lease lasts, how often it is renewed, and after how long without renewal its owner must stop writing. */
export interface LeaseTimes {
  readonly durationMs: number;
  readonly renewEveryMs: number;
  readonly trustedMs: number;
}

export const defaultLeaseMs = 30_000;

/** Two renewals may fail before the owner stops writing, and a third of the time is left to it for noticing. */
export function leaseTimes(durationMs: number): LeaseTimes {
  return { durationMs, renewEveryMs: durationMs / 3, trustedMs: (durationMs * 2) / 3 };
}

/**
 * Between the last moment at which a child of a lapsed lease may live by its warden's reckoning and the first at which its
 * step is taken: for a kill to take effect and for what rounding and the rates of two clocks may differ by.
 */
export const takeoverMarginMs = 2_000;

/**
 * What runs may go on for so long after its server's lease has ended, and is stopped only then: the lease may have been
 * renewed last a third of it before the store went away, and a store that is away for half a minute shall cost no program
 * its work. The owner adds it to what it stores of a child's time to stop, so nobody takes the step earlier.
 */
export const outlivesLeaseMs = 15_000;

/** What a worker counts of its own lease, on its monotonic clock. */
export interface LeaseCount {
  /** When the last renewal that the store granted was sent. The store counts from later, so this never says too much. */
  readonly sentAtMs: number;
  readonly lapses: number;
}

/** After a renewal was granted. When the end before it may have come first, that is a lapse: others may have taken steps. */
export function countRenewal(
  before: LeaseCount,
  { durationMs }: LeaseTimes,
  granted: { readonly sentAtMs: number; readonly answeredAtMs: number },
): LeaseCount {
  const lapsed = granted.answeredAtMs >= before.sentAtMs + durationMs;
  return { sentAtMs: granted.sentAtMs, lapses: before.lapses + (lapsed ? 1 : 0) };
}

export function isTrusted(count: LeaseCount, { trustedMs }: LeaseTimes, nowMs: number): boolean {
  return nowMs < count.sentAtMs + trustedMs;
}

export function remainingMs(count: LeaseCount, { durationMs }: LeaseTimes, nowMs: number): number {
  return Math.max(0, count.sentAtMs + durationMs - nowMs);
}
