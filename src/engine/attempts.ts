import { GlasshouseError } from "../domain/errors.ts";
import { stepEventData } from "../domain/event-data.ts";
import type { NewEvent } from "../domain/event.ts";
import { backoff } from "../lib/backoff.ts";
import { timestamp } from "../ports/clock.ts";
import type { TransactOptions, Tx } from "../ports/store.ts";
import type { Claim, OwnedStep } from "../ports/work.ts";
import { attempt, type ActiveAttempt } from "./attempt.ts";
import type { EngineDeps } from "./deps.ts";
import { fenceOf } from "./fence.ts";
import type { Membership } from "./membership.ts";
import type { RunCache, RunFacts } from "./run-cache.ts";
import { askAhead } from "./step-inputs.ts";
import type { Claimed } from "./work.ts";

/** What a transaction has done before it claims: the facts of the run that it has started, and what is still to be told. */
export interface Before {
  readonly facts: RunFacts | null;
  readonly events: readonly NewEvent[];
}

const nothingBefore: Before = { facts: null, events: [] };

/** The steps this process works on: claims them up to its places, runs them, and claims the next in the transaction that ends one. */
export class Attempts {
  readonly #deps: EngineDeps;
  readonly #cache: RunCache;
  readonly #membership: Membership;
  /** Those that take a place. */
  readonly #active = new Set<ActiveAttempt>();
  /** Those and the ones whose outcome is held because the store does not take it. */
  readonly #open = new Set<ActiveAttempt>();
  /** Ends the waits of those. */
  readonly #held = new Set<() => void>();
  /** How many of those who share a transaction have begun and have not come to claiming. */
  readonly #before = new Map<object, number>();
  /** Runs that are being started: their facts are known to the claim before they are committed. */
  readonly #started = new Map<string, RunFacts>();
  /** Places promised to claims whose transactions have not resolved yet. */
  #reserved = 0;
  #stopping = false;
  #emptied = 0;

  constructor(deps: EngineDeps, cache: RunCache, membership: Membership) {
    this.#deps = deps;
    this.#cache = cache;
    this.#membership = membership;
    const { metrics, settings } = deps;
    metrics.observe("glasshouse_places", () => [{ value: settings.places, labels: {} }]);
    metrics.observe("glasshouse_steps_running", () =>
      [...this.#used()].map(([executor, value]) => ({ value, labels: { executor } })),
    );
  }

  /** How often a claim that came with a new run has taken all that was ready. */
  get emptied(): number {
    return this.#emptied;
  }

  /** Whether there is a place that nothing takes. */
  get hasRoom(): boolean {
    return this.#free() > 0;
  }

  /** Claims what is ready and begins it. */
  async claim(): Promise<void> {
    await this.within(async () => nothingBefore);
  }

  /**
   * One transaction that does `fn` and then claims as many steps as there are places, with their intent and events; begins
   * them once it is committed. This is why a hop from one step to the next costs one commit, and so does a run with its
   * first steps. `fn` gives the facts of the run that it has started, if any, and so does this; and events that are told
   * with those of the claims, as one write.
   */
  async within(
    fn: (tx: Tx) => Promise<Before>,
    how: TransactOptions & { readonly ending?: ActiveAttempt } = {},
  ): Promise<RunFacts | null> {
    const { ending, ...options } = how;
    let reserved = 0;
    const begun = new Set<string>();
    try {
      const { started, claimed, isAll } = await this.#deps.store.transact(async (tx) => {
        this.#reserved -= reserved;
        reserved = 0;
        const { facts, events, isLast } = await this.#beforeClaim(tx, fn);
        if (facts !== null) begun.add(facts.run.id);
        const inPlace = tx.steps.inPlace();
        if (ending !== undefined && inPlace.length === 0) this.#active.delete(ending);
        const isOthers = how.brief === true && !isLast;
        const limit = isOthers ? 0 : this.#free();
        // Kept while it is asked: others that claim meanwhile must not count on the same places.
        reserved = limit;
        this.#reserved += limit;
        const claims = await this.#claimIn(tx, limit);
        this.#reserved -= limit - claims.length;
        reserved = claims.length;
        const all = await this.#tell(tx, { claims: [...inPlace, ...claims], events });
        return { started: facts, claimed: all, isAll: claims.length < limit };
      }, options);
      // Whoever claims its steps meanwhile, in a transaction of their own, need not read them.
      if (started !== null) this.#cache.keep(started);
      // What ends steps may have seen what is offered a while ago.
      if (isAll && started !== null) this.#emptied += 1;
      try {
        if (claimed.length > 0) await this.#deps.settings.failpoint("step.claimed");
      } finally {
        // What is claimed has this owner and no other: it is begun whatever happens.
        for (const claim of claimed) this.#begin(claim);
      }
      return started;
    } finally {
      if (ending !== undefined) this.#active.delete(ending);
      this.#reserved -= reserved;
      for (const runId of begun) this.#started.delete(runId);
    }
  }

  /**
   * What comes before the claim. Where the store runs several of these side by side in one transaction the last one claims
   * for all: it sees what they all have released, and another transaction would pass over what this one holds.
   */
  async #beforeClaim(
    tx: Tx,
    fn: (tx: Tx) => Promise<Before>,
  ): Promise<Before & { readonly isLast: boolean }> {
    const { shared } = tx;
    this.#before.set(shared, (this.#before.get(shared) ?? 0) + 1);
    try {
      const before = await fn(tx);
      if (before.facts !== null) this.#started.set(before.facts.run.id, before.facts);
      return { ...before, isLast: this.#before.get(shared) === 1 };
    } finally {
      const left = (this.#before.get(shared) ?? 0) - 1;
      if (left > 0) this.#before.set(shared, left);
      else this.#before.delete(shared);
    }
  }

  /** Runs that one failed step ends at once and of which a step runs here. */
  abortable(): readonly string[] {
    const runs = [...this.#active].filter((active) => active.isAbortable);
    return [...new Set(runs.map(({ runId }) => runId))];
  }

  /** Asks this run's steps to stop: gently, or with `kill` at once. */
  interrupt(runId: string, how: { readonly kill: boolean }): void {
    for (const active of this.#active) {
      if (active.runId === runId) active.cancel(how.kill);
    }
  }

  /** The lease was renewed: children may go on, and outcomes that were held are tried at once. */
  extend(leaseMs: number): void {
    for (const active of this.#open) active.extend(leaseMs);
    for (const wake of this.#held) wake();
  }

  /** The lease ended: what runs stops, as its own wardens do; the outcomes are held until the store takes or refuses them. */
  lapse(): void {
    for (const active of this.#open) active.lapse();
  }

  /** After a lapse: those that are not among what the store says this worker owns have another owner now. */
  keepOnly(owned: readonly OwnedStep[]): void {
    const own = new Set(owned.map(({ stepId, token }) => `${stepId} ${token}`));
    for (const active of this.#active)
      if (!own.has(`${active.stepId} ${active.token}`)) active.taken();
  }

  /** This worker is over for the store: everything stops, nothing is written, and the places are free. */
  forgetAll(): void {
    for (const active of this.#open) active.lose();
    for (const wake of this.#held) wake();
    this.#active.clear();
    this.#open.clear();
  }

  /** Interrupts all and waits for them, at most `graceMs`. True when nothing runs any more. */
  async stop(graceMs: number): Promise<boolean> {
    this.#stopping = true;
    const waiting = [...this.#active];
    for (const active of waiting) active.stop();
    const patience = Promise.withResolvers<false>();
    const forget = this.#deps.clock.after(graceMs, () => patience.resolve(false));
    const ended = Promise.allSettled(waiting.map((active) => active.done));
    const all = await Promise.race([ended.then(() => true), patience.promise]);
    forget();
    return all;
  }

  /** Places that nothing takes. */
  #free(): number {
    const { places } = this.#deps.settings;
    return this.#stopping ? 0 : Math.max(0, places - this.#active.size - this.#reserved);
  }

  #claimIn(tx: Tx, limit: number): Promise<readonly Claim[]> {
    return tx.steps.claim({
      worker: this.#membership.id,
      now: timestamp(this.#deps.clock),
      limit,
      places: this.#places(),
      labels: this.#deps.worker.labels,
    });
  }

  /** Tells of claims, after the events of what came before, and gives them with what it takes to begin them. */
  async #tell(
    tx: Tx,
    { claims, events }: { readonly claims: readonly Claim[]; readonly events: readonly NewEvent[] },
  ): Promise<readonly Claimed[]> {
    const now = timestamp(this.#deps.clock);
    const known = await Promise.all(
      claims.map(async (claim) => ({
        ...claim,
        facts:
          this.#startedAs(claim) ??
          (await this.#cache.within(tx, claim.step.runId, claim.runAttempt)),
      })),
    );
    const begun = known
      .filter(({ step }) => isNews(step))
      .map(({ step, facts }) => ({
        type: "step.started" as const,
        environmentId: facts.environment.id,
        subject: `environments/${facts.environment.name}`,
        runId: step.runId,
        stepId: step.id,
        data: stepEventData(step),
      }));
    const told = [...events, ...begun];
    if (told.length > 0) await tx.events.append(told, now);
    const asked = await Promise.all(known.map((claim) => askAhead(tx, claim)));
    return known.map((claim, at) => ({ ...claim, records: asked[at]?.answer ?? null }));
  }

  #startedAs({ step, runAttempt }: Claim): RunFacts | null {
    const facts = this.#started.get(step.runId);
    return facts?.run.attempt === runAttempt ? facts : null;
  }

  /** Steps that are worked on here, by executor. */
  #used(): ReadonlyMap<string, number> {
    const used = new Map<string, number>();
    for (const active of this.#active)
      used.set(active.executor, (used.get(active.executor) ?? 0) + 1);
    return used;
  }

  #places(): Readonly<Record<string, number>> {
    const used = this.#used();
    const limits = Object.entries(this.#deps.settings.placesByExecutor);
    return Object.fromEntries(
      limits.map(([name, places]) => [name, Math.max(0, places - (used.get(name) ?? 0))]),
    );
  }

  #begin(claimed: Claimed): void {
    this.#cache.keep(claimed.facts);
    const lease = this.#membership.lease;
    if (lease === null)
      throw new GlasshouseError("internal", "A step was claimed without a lease.");
    const active: ActiveAttempt = attempt(this.#deps, claimed, {
      finish: (fn) => this.#finish(active, fn),
      abortRun: () => this.interrupt(claimed.step.runId, { kill: false }),
      pause: (delayMs) => this.#pause(delayMs),
      lease,
    });
    this.#active.add(active);
    this.#open.add(active);
    this.#deps.metrics.count("glasshouse_claims_total", { executor: active.executor });
    if (this.#stopping) active.stop();
    active.done
      .finally(() => {
        this.#active.delete(active);
        this.#open.delete(active);
      })
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

  /** The step has ended: its place is free for what its own transaction claims, in its place if the store does that. */
  async #finish(
    active: ActiveAttempt,
    fn: (tx: Tx) => Promise<readonly NewEvent[]>,
  ): Promise<void> {
    const inPlace = (): boolean => this.#active.has(active) && !this.#stopping;
    const write = async (tx: Tx): Promise<Before> => ({ facts: null, events: await fn(tx) });
    await this.within(write, { brief: true, ending: active, inPlace });
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        forget();
        this.#held.delete(wake);
        resolve();
      };
      const forget = this.#deps.clock.after(delayMs, wake);
      this.#held.add(wake);
    });
  }
}

/** The first look of a check is news; its repeats are not. */
function isNews(step: Claimed["step"]): boolean {
  return step.phase !== "check" || step.token === 1;
}
