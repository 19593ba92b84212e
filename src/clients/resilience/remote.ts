import { GlasshouseError } from "../../domain/errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Log, Metrics } from "../../ports/telemetry.ts";
import {
  createPolicies,
  type BreakerState,
  type CallPolicies,
  type PolicyOptions,
} from "./policy.ts";

export interface RemoteOptions extends PolicyOptions {
  /** The label in metrics: one of few. */
  readonly kind: RemoteKind;
  /** For people, in /health and messages: `store`, `git example.com`. */
  readonly name: string;
  /** What an operator can do when it is down. */
  readonly advice: string;
  /** Whether an error of a try is a sign that the remote is down: a transient error of the product unless said otherwise. */
  readonly isDown?: (error: unknown) => boolean;
}

export type RemoteKind = "git" | "store" | "bus" | "consul" | "vault";

export interface RemoteDeps {
  readonly metrics: Metrics;
  readonly log: Log;
  readonly clock: Pick<Clock, "now" | "monotonic">;
}

/** How a remote is, for /health. Times are milliseconds since 1970. */
export interface RemoteStatus {
  readonly kind: RemoteKind;
  readonly name: string;
  readonly state: BreakerState;
  /** When it came into this state; null when it was never in another one. */
  readonly sinceMs: number | null;
  /** How long the last call that went well took; null when none did yet. */
  readonly latencyMs: number | null;
  /** The last failure, also after it is well again. */
  readonly lastError: { readonly message: string; readonly atMs: number } | null;
  /** When a call is let through to see, while it is open. */
  readonly retryAtMs: number | null;
  readonly advice: string | null;
}

export interface CallOptions {
  /** The caller's wish to end it: rejects with its reason, and says nothing of the remote. */
  readonly signal?: AbortSignal;
  /** True only when doing it twice is the same as once. Otherwise there is one try. */
  readonly repeatable: boolean;
}

type Try<T> = (signal: AbortSignal, attempt: number) => Promise<T>;
type Outcome = "ok" | "failed" | "refused" | "answered" | "cancelled";

/**
 * Something outside of the process that is called. One policy holds for all calls to it: time limits, retries with jittered
 * backoff, and a circuit breaker that refuses calls without sending anything while the remote is down. **This is the only
 * retry**: what runs inside must not repeat by itself, and what stands around it must set `tries` to 1 or not repeat.
 */
export class Remote {
  readonly #options: RemoteOptions;
  readonly #deps: RemoteDeps;
  #policies: Promise<CallPolicies> | null = null;
  #state: BreakerState = "closed";
  #sinceMs: number | null = null;
  #latencyMs: number | null = null;
  #lastError: { readonly message: string; readonly atMs: number } | null = null;
  #retryAtMs: number | null = null;

  constructor(options: RemoteOptions, deps: RemoteDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /**
   * Calls `fn` once or, when it is repeatable, until it succeeds or the tries are used up. `fn` gets a signal that ends with the
   * caller's wish and with the time limits, and is left alone once that aborts. Errors: `unavailable` with the time to wait
   * while the breaker is open, `timeout`, `too-many` (no place), the last error of `fn`, the reason of the caller's signal.
   */
  async call<T>(fn: Try<T>, { signal, repeatable }: CallOptions): Promise<T> {
    signal?.throwIfAborted();
    const policies = await this.#load();
    const policy = repeatable ? policies.repeatable : policies.once;
    const startedAtMs = this.#deps.clock.monotonic();
    const seen: Seen = { failure: null };
    let outcome: Outcome = "failed";
    try {
      const running = policy.execute(
        (context) => this.#try(fn, { caller: signal, seen, ...context }),
        signal,
      );
      const ended = await untilAborted(running, signal);
      if ("error" in ended) {
        outcome = "answered";
        throw ended.error;
      }
      outcome = "ok";
      return ended.value;
    } catch (error) {
      if (outcome === "answered") throw error;
      if (signal?.aborted === true) {
        outcome = "cancelled";
        throw signal.reason;
      }
      if (policies.isBroken(error) && seen.failure === null) outcome = "refused";
      throw this.#translate(policies, error, seen.failure);
    } finally {
      const tookMs = this.#deps.clock.monotonic() - startedAtMs;
      if (outcome === "ok") this.#latencyMs = tookMs;
      const labels = { remote: this.#options.kind, outcome };
      this.#deps.metrics.record("glasshouse_remote_call_duration_seconds", tookMs / 1000, labels);
    }
  }

  get status(): RemoteStatus {
    const { kind, name, advice } = this.#options;
    const due = this.#retryAtMs !== null && this.#retryAtMs <= this.#deps.clock.now();
    const state = this.#state === "open" && due ? "half-open" : this.#state;
    return {
      kind,
      name,
      state,
      sinceMs: this.#sinceMs,
      latencyMs: this.#latencyMs,
      lastError: this.#lastError,
      retryAtMs: state === "open" ? this.#retryAtMs : null,
      advice: state === "closed" ? null : advice,
    };
  }

  /** Answers that are errors, such as "there is no such branch", go past the breaker as values: the remote is well. */
  async #try<T>(fn: Try<T>, of: TryOf): Promise<Ended<T>> {
    const { signal, attempt = 0, caller, seen } = of;
    // The call is over already: its whole time was up while the next try waited.
    if (signal.aborted) throw new Gone();
    if (attempt > 0)
      this.#deps.metrics.count("glasshouse_remote_retries_total", { remote: this.#options.kind });
    try {
      return { value: await untilAborted(fn(signal, attempt), signal) };
    } catch (error) {
      if (caller?.aborted === true) throw new Gone();
      const known = isAborted(signal) ? this.#late(error) : error;
      if (!this.#isDown(known)) return { error: known };
      seen.failure = known;
      this.#lastError = { message: messageOf(known), atMs: this.#deps.clock.now() };
      throw known;
    }
  }

  #load(): Promise<CallPolicies> {
    this.#policies ??= createPolicies(this.#options, {
      isDown: (error) => !(error instanceof Gone) && this.#isDown(error),
      isGone: (error) => error instanceof Gone,
      paused: (pauseMs) => {
        this.#retryAtMs = this.#deps.clock.now() + pauseMs;
      },
      changed: (state) => this.#changed(state),
    });
    return this.#policies;
  }

  #isDown(error: unknown): boolean {
    if (this.#options.isDown !== undefined) return this.#options.isDown(error);
    return error instanceof GlasshouseError && error.row.kind === "transient";
  }

  #changed(state: BreakerState): void {
    const { name, advice } = this.#options;
    const before = this.#state;
    this.#state = state;
    if (state === "half-open") return;
    // Between open and half-open it is down all the time.
    if (state === "closed" || before === "closed") this.#sinceMs = this.#deps.clock.now();
    if (state === "closed") this.#deps.log.info(`${name} answers again`);
    else if (before === "closed")
      this.#deps.log.warn(`${name} is down: it is left alone for a while, then asked again`, {
        lastError: this.#lastError?.message,
        advice,
      });
  }

  #translate(policies: CallPolicies, error: unknown, failure: unknown): unknown {
    const { name } = this.#options;
    if (policies.isFull(error))
      return new GlasshouseError("too-many", `Too many calls to ${name} are under way at once.`);
    // What this call itself saw says more than the limit that it then ran into.
    if (failure !== null) return this.#withPause(failure);
    if (policies.isBroken(error))
      return new GlasshouseError(
        "unavailable",
        `${name} is down (${this.#lastError?.message ?? "no call went well"}), so nothing is sent to it for now.`,
        { retryAfterMs: this.#pauseMs() },
      );
    return policies.isLate(error) || error instanceof Gone ? this.#late(error) : error;
  }

  /** A failure that opened the breaker says when the next call is let through. */
  #withPause(failure: unknown): unknown {
    if (this.#state === "closed" || !(failure instanceof GlasshouseError)) return failure;
    const { code, message, details, cause } = failure;
    return new GlasshouseError(code, message, { details, cause, retryAfterMs: this.#pauseMs() });
  }

  #pauseMs(): number {
    return Math.max(0, (this.#retryAtMs ?? 0) - this.#deps.clock.now());
  }

  #late(cause: unknown): unknown {
    // `fn` may have said better what it was waiting for.
    if (cause instanceof GlasshouseError && cause.code === "timeout") return cause;
    const { name, tryMs, deadlineMs } = this.#options;
    const limitMs = Math.min(tryMs ?? Infinity, deadlineMs ?? Infinity);
    return new GlasshouseError("timeout", `${name} did not answer within ${limitMs / 1000} s.`, {
      cause,
    });
  }
}

interface Seen {
  /** The last failure of this call. */
  failure: unknown;
}

interface TryOf {
  readonly caller: AbortSignal | undefined;
  readonly seen: Seen;
  readonly signal: AbortSignal;
  readonly attempt?: number;
}

type Ended<T> = { readonly value: T } | { readonly error: unknown };

/** The caller is not there any more, so what came of it says nothing. */
class Gone extends Error {}

/** Rejects as soon as the signal aborts, also when what runs does not listen to it. */
async function untilAborted<T>(running: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return running;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  try {
    return await Promise.race([running, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
    // Whichever lost may still reject; nobody waits for it.
    running.catch(() => undefined);
    aborted.catch(() => undefined);
  }
}

/** Asked anew each time: the compiler takes what it saw before an `await` for lasting. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
