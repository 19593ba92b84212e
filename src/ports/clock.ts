import type { IdKind } from "../domain/id.ts";

/** Time and ids, so that tests can drive them. */
export interface Clock {
  /** Wall clock, milliseconds since 1970. May jump. */
  now(): number;
  /** Milliseconds that never go back; only differences mean something. */
  monotonic(): number;
  /** A new id of this kind; ids made later sort later. */
  id(kind: IdKind): string;
  /** Calls `fn` once after `delayMs` on the monotonic clock. The returned function forgets it; calling it twice is safe. */
  after(delayMs: number, fn: () => void): () => void;
}

/** What was said last: a step's end says the time half a dozen times within a millisecond. */
let said = { atMs: 0, text: new Date(0).toISOString() };

/** The wall clock as RFC 3339 in UTC with milliseconds. */
export function timestamp(clock: Pick<Clock, "now">, plusMs = 0): string {
  const atMs = clock.now() + plusMs;
  if (atMs !== said.atMs) said = { atMs, text: new Date(atMs).toISOString() };
  return said.text;
}
