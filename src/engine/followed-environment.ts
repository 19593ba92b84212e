import type { Check } from "../domain/check.ts";
import { failureOf } from "../domain/errors.ts";
import type { CheckStates } from "../domain/health.ts";
import { backoff } from "../lib/backoff.ts";
import type { CheckTarget } from "../ports/check.ts";
import { timestamp } from "../ports/clock.ts";
import { checkerOf } from "./check-step.ts";
import { describeTarget, prepareTarget } from "./check-target.ts";
import type { EngineDeps } from "./deps.ts";
import { FollowedCheck } from "./followed-check.ts";
import type { Gate } from "./gate.ts";
import { recordHealth } from "./record-health.ts";
import type { EnvironmentState } from "./run-cache.ts";

export interface CheckPlace {
  readonly key: string;
  readonly check: Check;
  readonly target: CheckTarget;
}

export interface FollowedState {
  readonly facts: EnvironmentState;
  readonly generation: number;
  /** Those that this worker looks at. */
  readonly checks: readonly CheckPlace[];
  readonly states: CheckStates;
}

interface Around {
  /** Looks at once, of all environments. */
  readonly looks: Gate;
  readonly writes: Gate;
}

/** What comes at the same moment is written together. */
const gatherMs = 10;

/** Follows the checks of one environment until `end`, and writes what they come to. */
export class FollowedEnvironment {
  readonly #deps: EngineDeps;
  readonly #state: FollowedState;
  readonly #around: Around;
  readonly #checks: ReadonlyMap<string, FollowedCheck>;
  readonly #end = new AbortController();
  /** The next look of each check that is looked at, and the next write. */
  readonly #timers = new Map<string, () => void>();
  #writeAtMs = Number.POSITIVE_INFINITY;
  #isWriting = false;
  #failures = 0;

  constructor(deps: EngineDeps, state: FollowedState, around: Around) {
    this.#deps = deps;
    this.#state = state;
    this.#around = around;
    const environmentId = state.facts.environment.id;
    const follow = ({ key, check, target }: CheckPlace): FollowedCheck => {
      const about = { environmentId, key, check, target: describeTarget(target) };
      return new FollowedCheck({ ...about, clock: deps.clock }, state.states.get(key) ?? null);
    };
    this.#checks = new Map(state.checks.map((place) => [place.key, follow(place)]));
    for (const place of state.checks) this.#begin(place);
  }

  /** Kinds of the checks that are followed, one for each. */
  get kinds(): readonly CheckTarget["kind"][] {
    return this.#state.checks.map(({ target }) => target.kind);
  }

  /** It follows nothing any more: the environment was found to have moved, or it was told to. */
  get isEnded(): boolean {
    return this.#end.signal.aborted;
  }

  /** Two with the same are followed in the same way. */
  get signature(): string {
    return signatureOf(this.#state);
  }

  /** Somebody else may have written what the store has now. */
  settle(states: CheckStates): void {
    for (const [key, check] of this.#checks) check.settle(states.get(key) ?? null);
    this.#writeSoon(gatherMs);
  }

  /** Ends it. What is being written may still be. */
  end(): void {
    this.#end.abort();
    for (const forget of this.#timers.values()) forget();
    this.#timers.clear();
  }

  #begin(place: CheckPlace): void {
    const { signal } = this.#end;
    const followed = this.#checks.get(place.key);
    const checker = checkerOf(this.#deps, place.target);
    const isFollowed = checker.follow?.(place.target, {
      seen: (outcome) => {
        followed?.tell(outcome);
        this.#writeSoon(gatherMs);
      },
      lost: (reason) => {
        followed?.lose(reason);
        this.#writeSoon(gatherMs);
      },
      signal,
    });
    // Checks that begin together do not look together for ever.
    if (isFollowed !== true) this.#lookLater(place, place.check.intervalMs * Math.random());
  }

  #lookLater(place: CheckPlace, delayMs: number): void {
    if (this.#end.signal.aborted) return;
    const name = `look ${place.key}`;
    const forget = this.#deps.clock.after(delayMs, () => {
      this.#timers.delete(name);
      void this.#lookInTurn(place);
    });
    this.#timers.set(name, forget);
  }

  async #lookInTurn(place: CheckPlace): Promise<void> {
    await this.#around.looks.run(() => this.#look(place));
    this.#lookLater(place, place.check.intervalMs);
  }

  /** Never rejects. */
  async #look(place: CheckPlace): Promise<void> {
    if (this.isEnded) return;
    const { signal } = this.#end;
    const { key, check, target } = place;
    const followed = this.#checks.get(key);
    try {
      await prepareTarget(this.#deps, target, this.#state.facts);
      const limits = { timeoutMs: check.timeoutMs, signal };
      followed?.looked(await checkerOf(this.#deps, target).check(target, limits));
    } catch (error) {
      if (signal.aborted) return;
      // It says nothing of what is looked at.
      followed?.lose(failureOf(error).message);
    }
    this.#writeSoon(gatherMs);
  }

  #writeSoon(delayMs: number): void {
    const atMs = this.#deps.clock.monotonic() + delayMs;
    if (this.#end.signal.aborted || atMs >= this.#writeAtMs) return;
    this.#timers.get("write")?.();
    this.#writeAtMs = atMs;
    const forget = this.#deps.clock.after(delayMs, () => {
      this.#writeAtMs = Number.POSITIVE_INFINITY;
      this.#timers.delete("write");
      void this.#write();
    });
    this.#timers.set("write", forget);
  }

  /** Writes what is due and comes again for what is due later. Never rejects. */
  async #write(): Promise<void> {
    if (this.#isWriting) return;
    this.#isWriting = true;
    try {
      await this.#around.writes.run(() => this.#writeDue());
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      const { environment } = this.#state.facts;
      this.#deps.log[this.#failures === 1 ? "warn" : "debug"](
        "What checks say could not be written; it is tried again",
        { environment: environment.name, error },
      );
    } finally {
      this.#isWriting = false;
    }
    const again = { attempt: this.#failures, baseMs: 500, mostMs: 10_000, random: Math.random() };
    const failedMs = this.#failures === 0 ? [] : [backoff(again)];
    const dueMs = [...this.#checks.values()].flatMap((check) => {
      const due = check.due();
      if (due === null) return [];
      return "inMs" in due ? [due.inMs] : this.#failures === 0 ? [gatherMs] : [];
    });
    const nextMs = Math.min(...failedMs, ...dueMs);
    if (Number.isFinite(nextMs)) this.#writeSoon(nextMs);
  }

  async #writeDue(): Promise<void> {
    if (this.#end.signal.aborted) return;
    const states = [...this.#checks.values()].flatMap((check) => {
      const due = check.due();
      return due !== null && "state" in due ? [due.state] : [];
    });
    if (states.length === 0) return;
    const { facts, generation } = this.#state;
    const what = {
      environmentId: facts.environment.id,
      generation,
      body: facts.template.body,
      states,
      now: timestamp(this.#deps.clock),
    };
    const after = await this.#deps.store.transact((tx) => recordHealth(tx, what), { brief: true });
    // Whoever moved it tells of that in the journal.
    if (after === null) return this.end();
    for (const state of states) this.#checks.get(state.key)?.wrote(state);
    for (const [key, check] of this.#checks) check.settle(after.get(key) ?? null);
  }
}

export function signatureOf({ facts, generation, checks }: FollowedState): string {
  return JSON.stringify([facts.template.id, generation, checks]);
}
