import { GlasshouseError } from "../domain/errors.ts";
import { stepEventData } from "../domain/event-data.ts";
import { backoff } from "../lib/backoff.ts";
import { timestamp } from "../ports/clock.ts";
import type { Tx } from "../ports/store.ts";
import { attempt, type ActiveAttempt, type Claimed } from "./attempt.ts";
import type { EngineDeps } from "./deps.ts";
import { fenceOf } from "./executor-context.ts";
import type { RunCache } from "./run-cache.ts";

/** The steps this process works on: claims them up to its places, runs them, and claims the next in the transaction that ends one. */
export class Attempts {
  /** This process as the store knows it. */
  readonly worker: string;
  readonly #deps: EngineDeps;
  readonly #cache: RunCache;
  readonly #active = new Map<string, ActiveAttempt>();
  /** Places promised to claims whose transactions have not resolved yet. */
  #reserved = 0;
  #stopping = false;

  constructor(deps: EngineDeps, cache: RunCache) {
    this.#deps = deps;
    this.#cache = cache;
    this.worker = deps.clock.id("worker");
  }

  /** Claims what is ready and begins it. */
  async claim(): Promise<void> {
    await this.within(async () => undefined);
  }

  /**
   * One transaction that does `fn` and then claims as many steps as there are places, with their intent and events; begins
   * them once it is committed. This is why a hop from one step to the next costs one commit.
   */
  async within(fn: (tx: Tx) => Promise<void>): Promise<void> {
    let reserved = 0;
    try {
      const claimed = await this.#deps.store.transact(async (tx) => {
        this.#reserved -= reserved;
        reserved = 0;
        await fn(tx);
        const limit = this.#stopping
          ? 0
          : this.#deps.settings.places - this.#active.size - this.#reserved;
        if (limit <= 0) return [];
        const claims = await this.#claimIn(tx, limit);
        reserved = claims.length;
        this.#reserved += reserved;
        return claims;
      });
      try {
        if (claimed.length > 0) await this.#deps.settings.failpoint("step.claimed");
      } finally {
        // What is claimed has this owner and no other: it is begun whatever happens.
        for (const claim of claimed) this.#begin(claim);
      }
    } finally {
      this.#reserved -= reserved;
    }
  }

  /** Asks this run's steps to stop: gently, or with `kill` at once. */
  interrupt(runId: string, how: { readonly kill: boolean }): void {
    for (const active of this.#active.values()) {
      if (active.runId === runId) active.cancel(how.kill);
    }
  }

  /** Interrupts all and waits for them, at most `graceMs`. True when nothing runs any more. */
  async stop(graceMs: number): Promise<boolean> {
    this.#stopping = true;
    const waiting = [...this.#active.values()];
    for (const active of waiting) active.stop();
    const patience = Promise.withResolvers<false>();
    const forget = this.#deps.clock.after(graceMs, () => patience.resolve(false));
    const ended = Promise.allSettled(waiting.map((active) => active.done));
    const all = await Promise.race([ended.then(() => true), patience.promise]);
    forget();
    return all;
  }

  async #claimIn(tx: Tx, limit: number): Promise<readonly Claimed[]> {
    const now = timestamp(this.#deps.clock);
    const claims = await tx.steps.claim({
      worker: this.worker,
      now,
      limit,
      places: this.#places(),
      labels: this.#deps.worker.labels,
    });
    const claimed: Claimed[] = [];
    for (const claim of claims)
      claimed.push({ ...claim, facts: await this.#cache.within(tx, claim.step.runId) });
    if (claimed.length > 0) {
      const events = claimed
        .filter(({ step }) => isNews(step))
        .map(({ step, facts }) => ({
          type: "step.started" as const,
          environmentId: facts.environment.id,
          subject: `environments/${facts.environment.name}`,
          runId: step.runId,
          stepId: step.id,
          data: stepEventData(step),
        }));
      if (events.length > 0) await tx.events.append(events, now);
    }
    return claimed;
  }

  #places(): Readonly<Record<string, number>> {
    const used = new Map<string, number>();
    for (const active of this.#active.values())
      used.set(active.executor, (used.get(active.executor) ?? 0) + 1);
    const limits = Object.entries(this.#deps.settings.placesByExecutor);
    return Object.fromEntries(
      limits.map(([name, places]) => [name, Math.max(0, places - (used.get(name) ?? 0))]),
    );
  }

  #begin(claimed: Claimed): void {
    this.#cache.keep(claimed.facts);
    const active = attempt(this.#deps, claimed, {
      finish: (fn) => this.#finish(claimed, fn),
      abortRun: () => this.interrupt(claimed.step.runId, { kill: false }),
    });
    this.#active.set(claimed.step.id, active);
    if (this.#stopping) active.stop();
    active.done
      .finally(() => this.#active.delete(claimed.step.id))
      .catch((error: unknown) => {
        this.#deps.log.error("An attempt ended without its outcome being recorded", {
          stepId: claimed.step.id,
          error,
        });
        return this.#lose(claimed);
      });
  }

  /**
   * A step that nobody works on and whose outcome is nowhere would wait for ever: its outcome is unknown from now on, so it
   * is claimed again and looked at. When that cannot be written either, the next start finds it.
   */
  async #lose({ step }: Claimed): Promise<void> {
    const { store, clock, log } = this.#deps;
    const delayMs = backoff({
      attempt: step.token,
      baseMs: 1_000,
      mostMs: 300_000,
      random: Math.random(),
    });
    const again = {
      availableAt: timestamp(clock, delayMs),
      counts: false,
      unknown: true,
      reason: "its outcome could not be recorded; it is looked at again",
      failure: null,
      now: timestamp(clock),
    };
    try {
      await store.transact((tx) => tx.steps.retry(fenceOf(step), again));
    } catch (error) {
      // The outcome was recorded after all, or the step has another owner: then there is nothing to write.
      if (error instanceof GlasshouseError && error.code === "stale-token") return;
      log.error("A step without an outcome is left to the next start", { stepId: step.id, error });
    }
  }

  /** The step has ended: its place is free for what its own transaction claims. */
  async #finish(claimed: Claimed, fn: (tx: Tx) => Promise<void>): Promise<void> {
    this.#active.delete(claimed.step.id);
    await this.within(fn);
  }
}

/** The first look of a check is news; its repeats are not. */
function isNews(step: Claimed["step"]): boolean {
  return step.phase !== "check" || step.token === 1;
}
