import type { Environment } from "../domain/environment.ts";
import { failureOf } from "../domain/errors.ts";
import type { EventType } from "../domain/event.ts";
import { checkStatesOf, isFollowed } from "../domain/health.ts";
import { checksOf, type TemplateCheck } from "../domain/template-checks.ts";
import { Looks } from "../lib/looks.ts";
import type { ReadTx } from "../ports/store.ts";
import { checkTarget } from "./check-target.ts";
import { sharerOf, sharersOf, type Sharer } from "./check-share.ts";
import { deliveredScope } from "./delivered.ts";
import type { EngineDeps } from "./deps.ts";
import {
  FollowedEnvironment,
  signatureOf,
  type CheckPlace,
  type FollowedState,
} from "./followed-environment.ts";
import { Gate } from "./gate.ts";
import type { Membership } from "./membership.ts";
import { RunCache, type EnvironmentState } from "./run-cache.ts";

/** A start has other things to do first. */
const beginAfterMs = 1_000;
/** Environments come and go at most by the second; the journal moves by the millisecond. */
const journalEveryMs = 200;
/** A worker that dies tells nobody. */
const sweepMs = 5_000;
const page = 200;
const eventsAtOnce = 500;
/** Environments that are read in one transaction. */
const readAtOnce = 50;
const looksAtOnce = 16;
const writesAtOnce = 16;

/** After these an environment may be followed that was not before, or the other way round. */
const moves: readonly EventType[] = [
  "environment.ok",
  "environment.failed",
  "environment.deploying",
  "environment.validating",
  "environment.destroying",
  "environment.destroyed",
];

/**
 * Follows the checks of environments that live, from the end of their last run to the beginning of the next: what is deployed and
 * fails later is `deployed-failed`, and `deployed-ok` again when it recovers. All workers share the environments; what one writes
 * twice or late changes nothing. Each knows from the journal which environments there are, and takes over from one that is gone.
 */
export class Health {
  readonly #deps: EngineDeps;
  readonly #cache = new RunCache();
  readonly #membership: Pick<Membership, "id" | "lease">;
  readonly #followed = new Map<string, FollowedEnvironment>();
  /** Those with checks, also of other workers. */
  readonly #known = new Set<string>();
  readonly #around = { looks: new Gate(looksAtOnce), writes: new Gate(writesAtOnce) };
  readonly #unwatch: (() => void)[] = [];
  /** How far the journal was read; null before the environments were. */
  #position: number | null = null;
  /** Who shares, as it was last seen. */
  #sharers: readonly Sharer[] = [];
  /** Since they have changed, which of the known environments this worker follows was not looked at. */
  #isSharedAnew = false;
  readonly #looks: Looks;
  #isStopped = false;

  constructor(deps: EngineDeps, membership: Pick<Membership, "id" | "lease">) {
    this.#deps = deps;
    this.#membership = membership;
    const look = (): Promise<void> => this.#look();
    this.#looks = new Looks({ clock: deps.clock, look, restMs: journalEveryMs });
    deps.metrics.observe("glasshouse_checks_followed", () => this.#counts());
  }

  /** Begins soon; does not wait. */
  start(): void {
    this.#looks.within(beginAfterMs);
  }

  /** Nothing is looked at any more; others take over as soon as this worker says that it goes. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const unwatch of this.#unwatch.splice(0)) unwatch();
    for (const followed of this.#followed.values()) followed.end();
    this.#followed.clear();
    await this.#looks.stop();
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    this.#watch();
    try {
      await this.#share();
      if (this.#position === null) await this.#readAll();
      else {
        await this.#readJournal(this.#position);
        if (this.#isSharedAnew) await this.#refresh([...this.#known]);
      }
      this.#isSharedAnew = false;
    } catch (error) {
      this.#deps.log.warn("Which environments to look at could not be read; it is tried again", {
        error,
      });
      this.#looks.within(sweepMs);
    }
    if (!this.#isAlone) this.#looks.within(sweepMs);
  }

  /** From the first look on: what moves while that reads is looked at afterwards. */
  #watch(): void {
    if (this.#unwatch.length > 0 || this.#isStopped) return;
    const { store } = this.#deps;
    for (const topic of ["journal", "workers"] as const)
      this.#unwatch.push(store.watch(topic, () => this.#looks.moved()));
  }

  /** Holding the store is the lease: there is no other worker. */
  get #isAlone(): boolean {
    const remainingMs = this.#membership.lease?.remainingMs();
    return remainingMs === Number.POSITIVE_INFINITY;
  }

  /** Looks who shares, and whether that is another than before. */
  async #share(): Promise<void> {
    const before = JSON.stringify(this.#sharers);
    this.#sharers = this.#isAlone
      ? [{ id: this.#membership.id, labels: this.#deps.worker.labels }]
      : sharersOf(await this.#deps.store.read((tx) => tx.workers.list())).map(({ id, labels }) => ({
          id,
          labels,
        }));
    if (before !== JSON.stringify(this.#sharers)) this.#isSharedAnew = true;
  }

  async #readAll(): Promise<void> {
    const { store } = this.#deps;
    const head = await store.read((tx) => tx.events.head());
    for (const status of ["deployed-ok", "deployed-failed"] as const) {
      let cursor: string | null = null;
      do {
        const at: { readonly limit: number; readonly cursor: string | null } = {
          limit: page,
          cursor,
        };
        const { items, next } = await store.read((tx) => tx.environments.list({ status }, at));
        await this.#refresh(items.map(({ id }) => id));
        cursor = next;
      } while (cursor !== null && !this.#isStopped);
    }
    this.#position = head;
  }

  async #readJournal(position: number): Promise<void> {
    const { head, events } = await this.#deps.store.read(async (tx) => ({
      head: await tx.events.head(),
      events: await tx.events.after(position, { types: moves, limit: eventsAtOnce }),
    }));
    await this.#refresh([...new Set(events.flatMap(({ environmentId }) => environmentId ?? []))]);
    if (events.length === eventsAtOnce) this.#looks.moved();
    this.#position =
      events.length === eventsAtOnce ? (events.at(-1)?.position ?? head) : Math.max(head, position);
  }

  async #refresh(ids: readonly string[]): Promise<void> {
    for (let at = 0; at < ids.length && !this.#isStopped; at += readAtOnce) {
      const some = ids.slice(at, at + readAtOnce);
      const states = await this.#deps.store.read((tx) =>
        Promise.all(some.map((id) => this.#stateOf(tx, id))),
      );
      for (const [index, id] of some.entries()) this.#follow(id, states[index] ?? null);
    }
  }

  #follow(id: string, state: FollowedState | null): void {
    const before = this.#followed.get(id);
    if (state !== null && before?.isEnded === false && before.signature === signatureOf(state))
      return before.settle(state.states);
    before?.end();
    this.#followed.delete(id);
    if (state === null || this.#isStopped) return;
    this.#followed.set(id, new FollowedEnvironment(this.#deps, state, this.#around));
  }

  /** Null: nothing of it is to be looked at here. */
  async #stateOf(tx: ReadTx, id: string): Promise<FollowedState | null> {
    const environment = await tx.environments.get(id);
    this.#known.delete(id);
    if (environment === null || !isFollowed(environment)) return null;
    const facts = await this.#cache.stateOf(tx, environment);
    const all = checksOf(facts.template.body);
    if (all.length === 0) return null;
    this.#known.add(id);
    const mine = all.filter(
      ({ runsOn }) =>
        sharerOf(this.#sharers, { environmentId: id, runsOn }) === this.#membership.id,
    );
    if (mine.length === 0) return null;
    const states = checkStatesOf(await tx.checks.list(id));
    const checks = await this.#placesOf(tx, { environment, facts, mine });
    return { facts, generation: environment.generation, checks, states };
  }

  /** One whose target cannot be told any more is left alone, as what was seen of it last. */
  async #placesOf(
    tx: ReadTx,
    of: {
      readonly environment: Environment;
      readonly facts: EnvironmentState;
      readonly mine: readonly TemplateCheck[];
    },
  ): Promise<readonly CheckPlace[]> {
    const { environment, facts, mine } = of;
    try {
      const scope = deliveredScope(facts, await tx.records.list(environment.id));
      return mine.map(({ key, check }) => ({
        key,
        check,
        target: checkTarget(this.#deps, check, { facts, scope, key }),
      }));
    } catch (error) {
      this.#deps.log.warn("The checks of an environment cannot be followed", {
        environment: environment.name,
        error: failureOf(error),
      });
      return [];
    }
  }

  #counts(): readonly { readonly value: number; readonly labels: { readonly kind: string } }[] {
    const counts = new Map<string, number>();
    for (const { kinds } of this.#followed.values())
      for (const kind of kinds) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    return [...counts].map(([kind, value]) => ({ value, labels: { kind } }));
  }
}
