import type { CircuitBreakerPolicy, IDefaultPolicyContext, IPolicy } from "cockatiel";
import { backoff } from "../../lib/backoff.ts";

/** How calls to one remote are made. Times in milliseconds. */
export interface PolicyOptions {
  /** For a whole call with all of its tries; the caller's signal alone when absent. */
  readonly deadlineMs?: number;
  /** For one try; none when absent. */
  readonly tryMs?: number;
  /** Tries of a call that is safe to repeat, the first one counted: 1 when something else repeats it. */
  readonly tries: number;
  readonly retry?: { readonly baseMs: number; readonly mostMs: number };
  readonly breaker: BreakerOptions;
  /** Calls at once, and how many may wait for a place; unbounded when absent. */
  readonly places?: { readonly calls: number; readonly waiting: number };
}

export interface BreakerOptions {
  /** It opens after so many failed tries in a row. */
  readonly failures: number;
  /** First pause before one call is let through to see; each pause after a failed one is twice as long, up to `mostMs`. */
  readonly firstMs: number;
  readonly mostMs: number;
}

/** What decides over one try. */
export interface PolicyRules {
  /** The try failed, as a sign that the remote is down. */
  readonly isDown: (error: unknown) => boolean;
  /** The caller went away before it was known. */
  readonly isGone: (error: unknown) => boolean;
  /** The breaker has opened and pauses for so long. */
  readonly paused: (pauseMs: number) => void;
  readonly changed: (state: BreakerState) => void;
}

export type BreakerState = "closed" | "open" | "half-open";

export interface CallPolicies {
  readonly repeatable: IPolicy<TryContext>;
  readonly once: IPolicy;
  readonly isBroken: (error: unknown) => boolean;
  readonly isFull: (error: unknown) => boolean;
  readonly isLate: (error: unknown) => boolean;
}

export interface TryContext extends IDefaultPolicyContext {
  /** 0 for the first try. */
  readonly attempt?: number;
}

/**
 * Joins the policies: time for the whole call, then a place, then retries, then the breaker, then time for one try. So every
 * try is seen by the breaker, and waiting for a place or for the next try counts against the whole. The library is loaded by
 * the first call: a server that calls nothing does not pay for it.
 */
export async function createPolicies(
  options: PolicyOptions,
  rules: PolicyRules,
): Promise<CallPolicies> {
  const library = await import("cockatiel");
  const { wrap, timeout, bulkhead, retry, handleWhen, TimeoutStrategy, DelegateBackoff } = library;
  const breaker: CircuitBreakerPolicy = library.circuitBreaker(
    handleWhen(
      (error) =>
        rules.isDown(error) ||
        // Nothing was learned: a caller that goes away must not close a breaker that is open.
        (rules.isGone(error) && breaker.state === library.CircuitState.HalfOpen),
    ),
    {
      breaker: new library.ConsecutiveBreaker(options.breaker.failures),
      halfOpenAfter: new DelegateBackoff(({ attempt }) => {
        const { firstMs, mostMs } = options.breaker;
        const pauseMs = backoff({ attempt, baseMs: firstMs, mostMs, random: Math.random() });
        rules.paused(pauseMs);
        return pauseMs;
      }),
    },
  );
  breaker.onStateChange((state) => {
    if (state === library.CircuitState.Closed) rules.changed("closed");
    else rules.changed(state === library.CircuitState.HalfOpen ? "half-open" : "open");
  });
  const outer: IPolicy[] = [];
  if (options.deadlineMs !== undefined)
    outer.push(timeout(options.deadlineMs, TimeoutStrategy.Aggressive));
  if (options.places !== undefined)
    outer.push(bulkhead(options.places.calls, options.places.waiting));
  const inner: IPolicy[] = [breaker];
  // What has returned need not be told to stop: an error made for that costs more than most of what else a call does.
  const cooperative = { strategy: TimeoutStrategy.Cooperative, abortOnReturn: false } as const;
  if (options.tryMs !== undefined) inner.push(timeout(options.tryMs, cooperative));
  const { baseMs, mostMs } = options.retry ?? { baseMs: 100, mostMs: 2_000 };
  const again = retry(handleWhen(rules.isDown), {
    maxAttempts: options.tries - 1,
    backoff: new DelegateBackoff(({ attempt }) =>
      backoff({ attempt, baseMs, mostMs, random: Math.random() }),
    ),
  });
  return {
    repeatable: wrap<TryContext, never>(...outer, again, ...inner),
    once: wrap(...outer, ...inner),
    isBroken: library.isBrokenCircuitError,
    isFull: library.isBulkheadRejectedError,
    isLate: library.isTaskCancelledError,
  };
}
