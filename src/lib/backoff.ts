/**
 * Delay before the next attempt, in milliseconds: "full jitter" between half and all of an exponentially growing bound
 * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). `attempt` counts from 1, `random` is in [0, 1).
 */
export function backoff(of: {
  readonly attempt: number;
  readonly baseMs: number;
  readonly mostMs: number;
  readonly random: number;
}): number {
  const bound = Math.min(of.mostMs, of.baseMs * 2 ** Math.min(of.attempt - 1, 30));
  return Math.round(bound / 2 + (bound / 2) * of.random);
}
