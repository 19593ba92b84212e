import type { Environment } from "../domain/environment.ts";
import type { EngineDeps } from "./deps.ts";

/** Two readings of the clock this far apart must agree before anything is destroyed. */
const proofMs = 5_000;
/** A wall clock that moved this much more or less than the monotonic one has jumped. */
const jumpMs = 2_000;
const longestSleepMs = 60_000;
/** While commands come, which may set lifetimes, it looks no more often than this. */
const soonestMs = 250;
const batch = 20;

/**
 * Takes environments down when their planned destruction has come. Destruction needs fresh proof: the time must have come
 * in two readings, with no jump of the clock between them; a jump starts the proof again.
 */
export class Lifetime {
  readonly #deps: EngineDeps;
  /** When each was first seen as due, on both clocks. */
  readonly #seen = new Map<
    string,
    { readonly wallMs: number; readonly monotonicMs: number; readonly plannedAt: string }
  >();
  #nextLookMs = 0;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #moved = false;

  constructor(deps: EngineDeps) {
    this.#deps = deps;
  }

  /** Commands were taken: one of them may have set an end that comes before the next look. */
  commandsCame(): void {
    this.#moved = true;
  }

  /** How long until the next look has a use. */
  nextLookMs(): number {
    const sleepMs = this.#moved ? Math.min(soonestMs, this.#nextLookMs) : this.#nextLookMs;
    return Math.max(0, sleepMs - (this.#deps.clock.monotonic() - this.#lookedAtMs));
  }

  /** Looks when it is time to; costs nothing otherwise. */
  async look(): Promise<void> {
    if (this.nextLookMs() > 0) return;
    const { store, clock } = this.#deps;
    this.#lookedAtMs = clock.monotonic();
    this.#moved = false;
    // The store's clock: one server's own may be wrong.
    const { now, due, next } = await store.read(async (tx) => {
      const time = await tx.time();
      return {
        now: time,
        due: await tx.environments.due(time, batch),
        next: await tx.environments.nextDue(time),
      };
    });
    const at = { wallMs: Date.parse(now), monotonicMs: clock.monotonic() };
    const waiting = due.filter((environment) => environment.status !== "destroying");
    const known = new Set(waiting.map((environment) => environment.id));
    for (const id of this.#seen.keys()) if (!known.has(id)) this.#seen.delete(id);
    for (const environment of waiting) await this.#consider(environment, at);
    const untilNext = next === null ? longestSleepMs : Date.parse(next) - at.wallMs;
    this.#nextLookMs = Math.max(0, Math.min(longestSleepMs, untilNext, this.#untilProvenMs()));
  }

  /** From the last look to the first time at which one that is due has been so for long enough. */
  #untilProvenMs(): number {
    const provenAt = [...this.#seen.values()].map((first) => first.monotonicMs + proofMs);
    return Math.min(...provenAt) - this.#lookedAtMs;
  }

  async #consider(
    environment: Environment,
    at: { readonly wallMs: number; readonly monotonicMs: number },
  ): Promise<void> {
    const { log, requestDestroy } = this.#deps;
    const plannedAt = environment.plannedDestructionAt ?? "";
    const reading = { ...at, plannedAt };
    const first = this.#seen.get(environment.id);
    if (first === undefined || first.plannedAt !== plannedAt || jumped(first, reading)) {
      this.#seen.set(environment.id, reading);
      return;
    }
    if (reading.monotonicMs - first.monotonicMs < proofMs) return;
    try {
      await requestDestroy({
        environmentId: environment.id,
        key: `lifetime:${environment.id}:${plannedAt}`,
      });
    } catch (error) {
      log.warn("An environment's time has come but it cannot be destroyed", {
        environment: environment.name,
        error,
      });
      this.#seen.set(environment.id, {
        ...reading,
        monotonicMs: reading.monotonicMs + longestSleepMs,
      });
    }
  }
}

function jumped(
  first: { readonly wallMs: number; readonly monotonicMs: number },
  now: { readonly wallMs: number; readonly monotonicMs: number },
): boolean {
  if (now.monotonicMs < first.monotonicMs) return false;
  return Math.abs(now.wallMs - first.wallMs - (now.monotonicMs - first.monotonicMs)) > jumpMs;
}
