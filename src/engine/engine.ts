import { mayPass } from "../domain/errors.ts";
import type { Run } from "../domain/run.ts";
import { timestamp } from "../ports/clock.ts";
import type { Starter } from "../ports/starter.ts";
import type { ReadTx } from "../ports/store.ts";
import { Attempts } from "./attempts.ts";
import { interruptAborted, requestCancels } from "./cancel.ts";
import type { EngineDeps } from "./deps.ts";
import { FirstRuns } from "./first-run.ts";
import { Health } from "./health.ts";
import { Lifetime } from "./lifetime.ts";
import { Membership } from "./membership.ts";
import { LeftLoans } from "./loan.ts";
import { Rotation } from "./rotation.ts";
import { RunCache } from "./run-cache.ts";
import { look, startRun, type Looked } from "./start-run.ts";
import { Tenure } from "./tenure.ts";

/** Runs taken from their queues at once: they share commits. */
const startsAtOnce = 16;
const startableLimit = 500;
/**
 * While runs begin and end, blocked ones are looked at again after this, and never so often that looking takes more than a
 * tenth of the time; the slow sweep is for what no commit tells.
 */
const leastPatienceMs = 50;
const patience = 10;
/**
 * Wake-ups that come closer together than this share one pass. A chain of quick steps commits thousands of times a second,
 * and each of those transactions has already claimed what it released.
 */
const passEveryMs = 10;
/**
 * Steps that became ready were mostly claimed by the transaction that released them. Passes for what is left take no more
 * than a tenth of the time, and are no rarer than this.
 */
const leastOftenMs = 50;

/** A run that may start, with what it is planned from; null: it may not after all. Or what went wrong with it alone. */
interface Start {
  readonly run: Run;
  readonly look: { readonly found?: Looked | null; readonly error?: unknown };
}

/**
 * Drives runs to their end. It owns no truth: everything is in the store, and an engine that starts again goes on from
 * there. It wakes on commits (`store.watch`), on the next due time, and on a slow sweep while something waits for the
 * outside. `tick` is public so that tests can drive it.
 */
export class Engine {
  readonly #deps: EngineDeps;
  readonly #cache = new RunCache();
  readonly #membership: Membership;
  readonly #attempts: Attempts;
  /** Begins runs that are not looked for in the queue, while this engine works. */
  readonly starter: Starter;
  readonly #tenure: Tenure;
  readonly #lifetime: Lifetime;
  readonly #rotation: Rotation;
  readonly #loans: LeftLoans;
  readonly #health: Health;
  /** Runs at the head of their queue that wait for something, and when they were looked at. */
  readonly #blocked = new Map<string, number>();
  /** Runs have begun, ended or changed since: what blocked others may be gone. */
  #queueMoved = false;
  /** Something may be at the head of a queue, or asked to be cancelled, that no pass has looked at. */
  #unlooked = true;
  /** How long blocked runs are left alone while the queue moves. */
  #patienceMs = leastPatienceMs;
  readonly #unwatch: (() => void)[] = [];
  #forgetTimer: (() => void) | null = null;
  #state: "new" | "started" | "stopping" = "new";
  #ticking: Promise<void> | null = null;
  #again = false;
  #passedAtMs = Number.NEGATIVE_INFINITY;
  /** What the last pass took. */
  #passMs = 0;
  #nextPass: { readonly atMs: number; readonly forget: () => void } | null = null;
  /** Asked for while a pass was under way. */
  #againEveryMs = Number.POSITIVE_INFINITY;

  constructor(given: EngineDeps) {
    this.#membership = new Membership(given);
    const deps = { ...given, store: this.#membership.guard(given.store) };
    this.#deps = deps;
    this.#attempts = new Attempts(deps, this.#cache, this.#membership);
    this.starter = new FirstRuns({
      deps,
      store: given.store,
      cache: this.#cache,
      attempts: this.#attempts,
      membership: this.#membership,
      isWorking: () => this.#state === "started",
    });
    this.#lifetime = new Lifetime(deps);
    this.#rotation = new Rotation(deps);
    this.#loans = new LeftLoans(deps);
    this.#health = new Health(deps, this.#membership);
    this.#tenure = new Tenure({
      deps,
      membership: this.#membership,
      attempts: this.#attempts,
      wake: () => this.#wake(),
    });
  }

  /** Joins the workers, takes over what others left in flight, then works. Resolves once that is known to be safe. */
  async start(): Promise<void> {
    const { store } = this.#deps;
    await this.#tenure.start();
    this.#state = "started";
    this.#unwatch.push(
      store.watch("queue", () => {
        this.#queueMoved = true;
        this.#unlooked = true;
        this.#wake();
      }),
      store.watch("steps", () =>
        this.#wake(Math.min(leastOftenMs, Math.max(passEveryMs, patience * this.#passMs))),
      ),
      store.watch("commands", () => {
        this.#lifetime.commandsCame();
        this.#wake();
      }),
    );
    this.#health.start();
    this.#wake();
  }

  /**
   * Gentle stop: nothing new is begun, children get one SIGINT and the grace; what has not ended by then stays recorded as
   * running and is looked at by whoever takes it. The lease lasts until nothing runs any more, and is then given back.
   */
  async stop(): Promise<void> {
    this.#state = "stopping";
    for (const unwatch of this.#unwatch.splice(0)) unwatch();
    this.#forgetTimer?.();
    this.#nextPass?.forget();
    await this.#ticking;
    await this.#loans.idle();
    await this.#health.stop();
    await this.#membership.drain();
    const gone = await this.#attempts.stop(this.#deps.settings.stopGraceMs);
    await this.#tenure.stop();
    await this.#membership.leave({ gone });
  }

  /** One pass: cancels, starts, claims. Resolves when everything that could begin has begun. */
  async tick(): Promise<void> {
    if (this.#state === "stopping") return;
    await this.#membership.join();
    if (!this.#membership.holds()) return this.#timer(this.#deps.settings.sweepMs);
    const claimedAt = timestamp(this.#deps.clock);
    const { emptied } = this.#attempts;
    // Both questions cost more than a hop, and only what touches the queue changes their answers.
    if (this.#state === "new" || this.#unlooked || this.#blocked.size > 0) {
      this.#unlooked = false;
      await this.#lookAtQueues();
    }
    await interruptAborted(this.#deps, this.#attempts);
    // What began a run may have claimed all there was.
    if (this.#attempts.emptied === emptied) await this.#attempts.claim();
    await this.#lifetime.look();
    await this.#rotation.look();
    this.#loans.look();
    await this.#setTimer(claimedAt);
  }

  /** Makes a pass, at least so long after the last one. */
  #wake(everyMs = passEveryMs): void {
    if (this.#state !== "started") return;
    if (this.#ticking !== null) {
      this.#again = true;
      this.#againEveryMs = Math.min(this.#againEveryMs, everyMs);
      return;
    }
    const { clock } = this.#deps;
    const atMs = this.#passedAtMs + everyMs;
    if (this.#nextPass !== null && this.#nextPass.atMs <= atMs) return;
    this.#nextPass?.forget();
    this.#nextPass = null;
    const restMs = atMs - clock.monotonic();
    if (restMs <= 0) this.#pass();
    else this.#nextPass = { atMs, forget: clock.after(restMs, () => this.#pass()) };
  }

  #pass(): void {
    this.#nextPass = null;
    if (this.#state !== "started") return;
    const { clock } = this.#deps;
    const beganMs = clock.monotonic();
    this.#againEveryMs = Number.POSITIVE_INFINITY;
    this.#ticking = this.#loop().finally(() => {
      this.#ticking = null;
      this.#passedAtMs = clock.monotonic();
      this.#passMs = this.#passedAtMs - beganMs;
      if (this.#again) this.#wake(Math.min(this.#againEveryMs, leastOftenMs));
    });
  }

  async #loop(): Promise<void> {
    this.#again = false;
    try {
      await this.tick();
    } catch (error) {
      this.#unlooked = true;
      // The store is down or full: work pauses and is tried again; nothing that was accepted is lost.
      this.#deps.log[mayPass(error) ? "warn" : "error"](
        "The engine could not go on; it tries again",
        {
          error,
        },
      );
      this.#timer(this.#deps.settings.sweepMs);
    }
  }

  /** One read shows what is asked to be cancelled, what may start, and the first of those with all that they are planned from. */
  async #lookAtQueues(): Promise<void> {
    const { store, clock } = this.#deps;
    const now = clock.monotonic();
    // Those that are known to be blocked take no place from those behind them.
    const limit = startableLimit + this.#blocked.size;
    const seen = await store.read(async (tx) => {
      const [cancelling, startable] = await Promise.all([
        tx.runs.cancelling(),
        tx.runs.startable(limit),
      ]);
      const open = this.#open(startable, now);
      const first = await this.#lookAt(tx, open.slice(0, startsAtOnce));
      return { cancelling, startable, open, first };
    });
    if (seen.cancelling.length > 0) {
      // A run that is being cancelled is asked again in every pass: a step may have begun since.
      this.#unlooked = true;
      await requestCancels(this.#deps, this.#attempts, seen.cancelling);
    }
    await this.#startRuns(seen);
    const tookMs = clock.monotonic() - now;
    const { sweepMs } = this.#deps.settings;
    this.#patienceMs = Math.min(sweepMs, Math.max(leastPatienceMs, patience * tookMs));
  }

  /** Those that are not known to be blocked, or were looked at long enough ago. */
  #open(startable: readonly Run[], now: number): readonly Run[] {
    const restMs = this.#queueMoved ? this.#patienceMs : this.#deps.settings.sweepMs;
    return startable.filter(
      ({ id }) => (this.#blocked.get(id) ?? Number.NEGATIVE_INFINITY) + restMs <= now,
    );
  }

  /** Side by side: where the database is far away they ask it together. */
  #lookAt(tx: ReadTx, runs: readonly Run[]): Promise<readonly Start[]> {
    return Promise.all(
      runs.map(async (run) => {
        try {
          return { run, look: { found: await look(tx, this.#cache, run) } };
        } catch (error) {
          return { run, look: { error } };
        }
      }),
    );
  }

  async #startRuns(seen: {
    readonly startable: readonly Run[];
    readonly open: readonly Run[];
    readonly first: readonly Start[];
  }): Promise<void> {
    const { startable, open } = seen;
    const known = new Set(startable.map((run) => run.id));
    for (const id of this.#blocked.keys()) if (!known.has(id)) this.#blocked.delete(id);
    // Whatever moves from here on is seen by a later pass.
    if (open.length === startable.length) this.#queueMoved = false;
    let batch = seen.first;
    for (let next = startsAtOnce; batch.length > 0; next += startsAtOnce) {
      await Promise.all(batch.map((start) => this.#startOne(start)));
      const later = open.slice(next, next + startsAtOnce);
      batch = later.length === 0 ? [] : await this.#lookAgain(later);
    }
    if (startable.length === startableLimit) {
      this.#unlooked = true;
      if (open.length > 0) {
        this.#again = true;
        this.#againEveryMs = passEveryMs;
      }
    }
  }

  /** As they are now: those before them have been started since they were seen. */
  async #lookAgain(runs: readonly Run[]): Promise<readonly Start[]> {
    return this.#deps.store.read(async (tx) => {
      const fresh = await Promise.all(runs.map(({ id }) => tx.runs.get(id)));
      return this.#lookAt(
        tx,
        fresh.filter((run) => run !== null),
      );
    });
  }

  async #startOne({ run, look: { found, error } }: Start): Promise<void> {
    if (found === undefined) throw error;
    const started = found !== null && (await startRun(this.#deps, this.#attempts, found));
    if (started) this.#blocked.delete(run.id);
    else this.#blocked.set(run.id, this.#deps.clock.monotonic());
  }

  /**
   * The next time something is due by itself: a retry, a check's next look, a blocked run, an environment's end, a secret's age. Counted
   * from the time of the claim: what became due since then was not claimed, and nothing else would wake the engine for it.
   */
  async #setTimer(claimedAt: string): Promise<void> {
    const { store, clock, settings } = this.#deps;
    const due = await store.read((tx) => tx.steps.nextDue(claimedAt));
    const waits = [
      this.#lifetime.nextLookMs(),
      this.#rotation.nextLookMs(),
      this.#loans.nextLookMs(),
    ];
    if (due !== null) waits.push(Date.parse(due) - clock.now());
    if (this.#blocked.size > 0) waits.push(this.#queueMoved ? this.#patienceMs : settings.sweepMs);
    // The last step of a run that is being cancelled may end on another worker without anything waking this one.
    if (this.#unlooked) waits.push(settings.sweepMs);
    this.#timer(Math.max(1, Math.min(...waits)));
  }

  #timer(delayMs: number): void {
    this.#forgetTimer?.();
    this.#forgetTimer = this.#deps.clock.after(delayMs, () => this.#wake());
  }
}
