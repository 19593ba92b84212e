import type { Environment } from "../domain/environment.ts";
import { timestamp } from "../ports/clock.ts";
import type { EngineDeps } from "./deps.ts";

/** Two readings of the clock this far apart must agree before anything is destroyed. */
const proofMs = 5_000;
/** A wall clock that moved this much more or less than the monotonic one has jumped. */
const jumpMs = 2_000;
const longestSleepMs = 60_000;
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

  constructor(deps: EngineDeps) {
    this.#deps = deps;
  }

  /** How long until the next look has a use. */
  nextLookMs(): number {
    return Math.max(0, this.#nextLookMs - (this.#deps.clock.monotonic() - this.#lookedAtMs));
  }

  /** Looks when it is time to; costs nothing otherwise. */
  async look(): Promise<void> {
    if (this.nextLookMs() > 0) return;
    const { store, clock } = this.#deps;
    this.#lookedAtMs = clock.monotonic();
    const now = timestamp(clock);
    const { due, next } = await store.read(async (tx) => ({
      due: await tx.environments.due(now, batch),
      next: await tx.environments.nextDue(now),
    }));
    const waiting = due.filter((environment) => environment.status !== "destroying");
    const known = new Set(waiting.map((environment) => environment.id));
    for (const id of this.#seen.keys()) if (!known.has(id)) this.#seen.delete(id);
    for (const environment of waiting) await this.#consider(environment);
    const untilNext = next === null ? longestSleepMs : Date.parse(next) - clock.now();
    this.#nextLookMs = Math.max(
      0,
      Math.min(longestSleepMs, untilNext, waiting.length > 0 ? proofMs : longestSleepMs),
    );
  }

  async #consider(environment: Environment): Promise<void> {
    const { clock, log, requestDestroy } = this.#deps;
    const plannedAt = environment.plannedDestructionAt ?? "";
    const reading = { wallMs: clock.now(), monotonicMs: clock.monotonic(), plannedAt };
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
