import { setImmediate as turn } from "node:timers/promises";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { Log } from "../../../ports/telemetry.ts";
import type { SearchState } from "./search-follow.ts";
import type { Session } from "./session.ts";

/** Loaded when it is first followed or asked: a start gets by without. */
const following = () => import("./search-follow.ts");

export interface SearchFollowerDeps {
  /** Runs a transaction. */
  readonly write: <T>(fn: (session: Session) => Promise<T>) => Promise<T>;
  readonly read: <T>(fn: (session: Session) => Promise<T>) => Promise<T>;
  /** Resolves once every event that was committed before the call has its position. Null where nobody else commits. */
  readonly settle: (() => Promise<void>) | null;
  readonly log: Pick<Log, "warn">;
  readonly limits: SearchFollowerLimits;
}

export interface SearchFollowerLimits {
  /** So long after a commit the index follows it; while others come, later. */
  readonly restMs: number;
  /** But no later than this after the first that it has not followed. */
  readonly longestRestMs: number;
  /** How long a question waits until what was committed before it is indexed. */
  readonly waitMs: number;
}

export const searchFollowerDefaults: SearchFollowerLimits = {
  restMs: 250,
  longestRestMs: 2_000,
  waitMs: 10_000,
};

/**
 * Keeps the index of search up with the journal, as the relay does the bus: no commit of what is searched has a part in it. It
 * follows when things have calmed down, and whoever searches makes it come up to what was committed before.
 */
export class SearchFollower {
  readonly #deps: SearchFollowerDeps;
  #timer: NodeJS.Timeout | null = null;
  #firstPokeAtMs = 0;
  #wasPoked = false;
  #pokes = 1;
  /** The last of them before all that was committed by then was indexed. */
  #caughtUpPoke = 0;
  #stepping: Promise<SearchState | null> | null = null;
  #working: Promise<void> | null = null;
  #isClosed = false;

  constructor(deps: SearchFollowerDeps) {
    this.#deps = deps;
  }

  /** Something was committed, or may have been. Costs next to nothing. */
  poke(): void {
    this.#pokes += 1;
    this.#wasPoked = true;
    if (this.#timer !== null || this.#working !== null || this.#isClosed) return;
    this.#firstPokeAtMs = performance.now();
    this.#rest();
  }

  /**
   * Resolves once all that was committed before the call is indexed. Costs a look when it is, and where nobody else commits nothing.
   * Errors: `unavailable` when that takes too long, and those of a transaction.
   */
  async caughtUp(): Promise<void> {
    const { limits, settle, read } = this.#deps;
    const poke = this.#pokes;
    if (settle === null && poke === this.#caughtUpPoke) return;
    const endsAtMs = performance.now() + limits.waitMs;
    const { isBehind, searchState } = await following();
    await settle?.();
    let state = await read(searchState);
    const { head } = state;
    while (isBehind(state, head)) {
      if (performance.now() >= endsAtMs) throw late(state, head);
      state = (await this.#step(false)) ?? state;
    }
    this.#caughtUpPoke = poke;
  }

  /** Resolves when nothing of it is under way; nothing begins any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#working;
  }

  #rest(): void {
    this.#wasPoked = false;
    this.#timer = setTimeout(() => this.#rested(), this.#deps.limits.restMs);
    this.#timer.unref();
  }

  #rested(): void {
    this.#timer = null;
    const waitedMs = performance.now() - this.#firstPokeAtMs;
    if (this.#wasPoked && waitedMs < this.#deps.limits.longestRestMs) return this.#rest();
    this.#working = this.#work().finally(() => {
      this.#working = null;
      if (this.#wasPoked) this.poke();
    });
  }

  /** Up to where the journal is now: what comes meanwhile has its own rest. */
  async #work(): Promise<void> {
    this.#wasPoked = false;
    try {
      const { isBehind } = await following();
      let state = await this.#step(true);
      const head = state?.head ?? 0;
      while (state !== null && isBehind(state, head) && !this.#isClosed) {
        // Whoever else wants to write comes in between.
        await turn();
        state = await this.#step(true);
      }
    } catch (error) {
      if (this.#isClosed) return;
      // Nothing is lost: the next commit or question goes on with it.
      this.#deps.log.warn("The index of search could not follow what was committed", { error });
    }
  }

  /** Several who wait for the same are served by one. */
  #step(passes: boolean): Promise<SearchState | null> {
    this.#stepping ??= this.#follow(passes).finally(() => {
      this.#stepping = null;
    });
    return this.#stepping;
  }

  async #follow(passes: boolean): Promise<SearchState | null> {
    const { followSome } = await following();
    return this.#deps.write((session) => followSome(session, passes));
  }
}

function late({ position, filling }: SearchState, head: number): GlasshouseError {
  const what =
    filling === null ? `is ${head - position} events behind` : "is being made of what there is";
  return new GlasshouseError(
    "unavailable",
    `The index of search ${what}, and is worked on; ask again in some seconds.`,
  );
}
