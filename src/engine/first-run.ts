import { requiredEnvironments } from "../domain/desired.ts";
import { leaveQueued, type FirstRun, type Starter, type TakenIn } from "../ports/starter.ts";
import type { Store, Tx } from "../ports/store.ts";
import type { Attempts, Before } from "./attempts.ts";
import { beginRun } from "./begin-run.ts";
import type { EngineDeps } from "./deps.ts";
import type { Membership } from "./membership.ts";
import { planRun, type PlannedRun, type PlanningInput } from "./plan-run.ts";
import type { RunCache } from "./run-cache.ts";
import { briefSteps } from "./start-run.ts";

interface FirstRunsDeps {
  readonly deps: EngineDeps;
  /** As those who take commands in use it: whoever may not work may still take in. */
  readonly store: Store;
  readonly cache: RunCache;
  readonly attempts: Attempts;
  readonly membership: Membership;
  /** Whether this process begins new work at all. */
  readonly isWorking: () => boolean;
}

/**
 * Begins the first run of a new environment in the transaction that takes its command in. All that it is planned from is known
 * there, as nothing was before it. What is larger, or requires others, waits in the queue like everything else.
 */
export class FirstRuns implements Starter {
  readonly #of: FirstRunsDeps;

  constructor(of: FirstRunsDeps) {
    this.#of = of;
  }

  async takeIn<T>(fn: (tx: Tx) => Promise<TakenIn<T>>): Promise<T> {
    if (!this.#mayBegin()) return this.#takeInAlone(fn);
    let given: { readonly value: T } | null = null;
    let stage: "refused" | "taking in" | "beginning" = "refused";
    const both = async (tx: Tx): Promise<Before> => {
      stage = "taking in";
      const { value, first, events } = await fn(tx);
      given = { value };
      const planned = first === null ? null : await this.#plan(tx, first);
      if (planned !== null) stage = "beginning";
      if (first !== null && planned !== null) {
        const begun = await this.#begin(tx, first, planned);
        return { ...begun, events: [...events, ...begun.events] };
      }
      if (first !== null) await tx.runs.insert(first.run);
      return { facts: null, events };
    };
    try {
      const started = await this.#of.attempts.within(both, { brief: true });
      if (started !== null) await this.#of.deps.settings.failpoint("run.started");
    } catch (error) {
      if (isOf(stage, "taking in")) throw error;
      // The worker may not write, or could not begin: that says nothing against the command, and taking it in twice is taking it in once.
      const value = await this.#takeInAlone(fn);
      this.#of.deps.log.warn("A run could not begin with its command; it is queued", { error });
      return value;
    }
    return valueOf(given);
  }

  #mayBegin(): boolean {
    const { isWorking, membership, attempts } = this.#of;
    return isWorking() && membership.holds() && attempts.hasRoom;
  }

  async #takeInAlone<T>(fn: (tx: Tx) => Promise<TakenIn<T>>): Promise<T> {
    const alone = async (tx: Tx): Promise<T> => leaveQueued(tx, await fn(tx));
    return this.#of.store.transact(alone, { brief: true });
  }

  /** Null: it does not begin here. */
  async #plan(tx: Tx, first: FirstRun): Promise<Planned | null> {
    const { deps, cache } = this.#of;
    const { run, environment, template, traceparent } = first;
    if (Object.keys(template.body.groups).length > briefSteps) return null;
    try {
      cache.know(template);
      const facts = await cache.load(tx, { run, environment, commands: [{ traceparent }] });
      if (requiredEnvironments(template.body, facts.parameters, environment).size > 0) return null;
      const input = { run, facts, environment, records: [], secrets: [], saved: null };
      const planned = await planRun(deps, input);
      await deps.settings.failpoint("run.planned");
      const { steps } = planned;
      return steps.length <= briefSteps && steps.some(isReady) ? { ...input, planned } : null;
    } catch (error) {
      // Whoever takes it from the queue finds the same, and ends the run with it.
      deps.log.debug("A run could not be planned with its command", { runId: run.id, error });
      return null;
    }
  }

  async #begin(tx: Tx, { run, environment }: FirstRun, planned: Planned): Promise<Before> {
    const beginning = { ...planned, uses: [], fresh: environment, freshRun: run, isNew: true };
    const events = await beginRun(tx, this.#of.deps, beginning);
    return { facts: planned.facts, events };
  }
}

interface Planned extends PlanningInput {
  readonly planned: PlannedRun;
}

/** One that is worked on at once: nothing precedes it, and it has something to do. */
function isReady({ dependsOn, mark, phase }: PlannedRun["steps"][number]): boolean {
  return dependsOn.length === 0 && mark !== "unchanged" && phase !== "check";
}

/** What is assigned in a function that was handed on, the compiler does not see. */
function isOf(stage: string, wanted: string): boolean {
  return stage === wanted;
}

function valueOf<T>(given: { readonly value: T } | null): T {
  if (given === null) throw new Error("a transaction resolved without having run");
  return given.value;
}
