import type { Check, CheckOutcome, CheckState } from "../domain/check.ts";
import { timestamp, type Clock } from "../ports/clock.ts";

/**
 * How many turns of one check are told at once, and how long until one more may be: a thing that breaks and is mended is told of
 * within moments, one that comes and goes all the time four times a minute at most, as it is then.
 */
export const damping = { burst: 4, everyMs: 15_000 } as const;
/** Words that change while the state does not are written no more often than this. */
const wordsEveryMs = 60_000;

/** When there is something to write: at once, or later. */
export type Due = { readonly state: CheckState } | { readonly inMs: number } | null;

/**
 * One check of an environment that lives: what it says now beside what the store has of it, and when the difference may be
 * written. It knows nothing of how the thing is looked at.
 */
export class FollowedCheck {
  readonly #of: {
    readonly environmentId: string;
    readonly key: string;
    readonly check: Pick<Check, "failures">;
    readonly target: string;
    readonly clock: Pick<Clock, "now" | "monotonic">;
  };
  #stored: CheckState | null;
  #seen: CheckOutcome | null = null;
  #lost: string | null;
  /** In a row. */
  #failures = 0;
  #turns: number = damping.burst;
  #turnedAtMs: number;
  #wroteAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    of: {
      readonly environmentId: string;
      readonly key: string;
      readonly check: Pick<Check, "failures">;
      readonly target: string;
      readonly clock: Pick<Clock, "now" | "monotonic">;
    },
    stored: CheckState | null,
  ) {
    this.#of = of;
    this.#stored = stored;
    this.#lost = stored?.lost ?? null;
    this.#turnedAtMs = of.clock.monotonic();
  }

  get key(): string {
    return this.#of.key;
  }

  /** What a look at its interval found: so many failures in a row as the check says make it fail, one that passes ends that. */
  looked(outcome: CheckOutcome): void {
    if (outcome.isUnknown === true) return this.lose(outcome.detail);
    this.#failures = outcome.healthy ? 0 : this.#failures + 1;
    const isFailing = this.#now().status === "failing";
    if (outcome.healthy || isFailing || this.#failures >= this.#of.check.failures)
      this.tell(outcome);
    else this.#lost = null;
  }

  /** What somebody says who has counted already. */
  tell(outcome: CheckOutcome): void {
    this.#seen = outcome;
    this.#lost = null;
  }

  /** It cannot be looked at: what was seen last stays. */
  lose(reason: string): void {
    this.#lost = reason;
  }

  /** The store has this of it now. */
  settle(stored: CheckState | null): void {
    this.#stored = stored;
  }

  /** A turn was written: it counts against how often the next may be. */
  wrote(state: CheckState): void {
    const nowMs = this.#of.clock.monotonic();
    this.#wroteAtMs = nowMs;
    if (isTurn(this.#stored, state)) {
      this.#refill(nowMs);
      this.#turns -= 1;
    }
    this.#stored = state;
  }

  due(): Due {
    const state = this.#now();
    const nowMs = this.#of.clock.monotonic();
    if (isTurn(this.#stored, state)) {
      this.#refill(nowMs);
      if (this.#turns > 0) return { state };
      return { inMs: Math.max(1, this.#turnedAtMs + damping.everyMs - nowMs) };
    }
    if (!isNews(this.#stored, state)) return null;
    const restMs = this.#wroteAtMs + wordsEveryMs - nowMs;
    return restMs <= 0 ? { state } : { inMs: restMs };
  }

  #now(): CheckState {
    const { environmentId, key, target, clock } = this.#of;
    const stored = this.#stored;
    const seen = this.#seen;
    const known =
      seen === null
        ? { status: stored?.status ?? ("pending" as const), detail: stored?.detail ?? "" }
        : {
            status: seen.healthy ? ("passing" as const) : ("failing" as const),
            detail: seen.detail,
          };
    const checkedAt = seen === null ? (stored?.checkedAt ?? null) : timestamp(clock);
    return { environmentId, key, target, ...known, checkedAt, lost: this.#lost };
  }

  #refill(nowMs: number): void {
    const more = Math.floor((nowMs - this.#turnedAtMs) / damping.everyMs);
    if (more > 0) this.#turnedAtMs += more * damping.everyMs;
    this.#turns = Math.min(damping.burst, this.#turns + more);
    if (this.#turns === damping.burst) this.#turnedAtMs = nowMs;
  }
}

/** It says another thing than before; only its words may have changed otherwise. */
export function isTurn(before: CheckState | null, after: CheckState): boolean {
  const status = before?.status ?? "pending";
  return status !== after.status || ((before?.lost ?? null) === null) !== (after.lost === null);
}

/** Something of it is another, if only its words. */
export function isNews(before: CheckState | null, after: CheckState): boolean {
  if (before === null) return after.status !== "pending" || after.lost !== null;
  return (
    before.status !== after.status ||
    before.detail !== after.detail ||
    before.target !== after.target ||
    before.lost !== after.lost
  );
}
