import type { Clock } from "../ports/clock.ts";
import type { Store } from "../ports/store.ts";
import type { Log } from "../ports/telemetry.ts";
import { tellWaits, toldWaits } from "../services/worker-wait.ts";

export interface WaitWatchDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
}

/** Commits come by the thousand; what workers offer changes a few times a day. */
const restMs = 500;
/** A worker that dies tells nobody: while there is work, its absence is looked for. */
const sweepMs = 5_000;

/** Keeps what runs say of workers that they wait for true. Any number of processes may do it at once. */
export class WaitWatch {
  readonly #deps: WaitWatchDeps;
  #told: ReadonlySet<string> | null = null;
  #unwatch: readonly (() => void)[] = [];
  #forget: (() => void) | null = null;
  #dueAtMs = Number.POSITIVE_INFINITY;
  #looking: Promise<void> | null = null;
  #moved = false;
  #stopped = false;

  constructor(deps: WaitWatchDeps) {
    this.#deps = deps;
  }

  start(): void {
    const { store } = this.#deps;
    const topics = ["steps", "queue", "workers"] as const;
    this.#unwatch = topics.map((topic) => store.watch(topic, () => this.#wake()));
    this.#wake();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const unwatch of this.#unwatch) unwatch();
    this.#forget?.();
    await this.#looking;
  }

  #wake(): void {
    this.#moved = true;
    if (this.#looking === null) this.#after(restMs);
  }

  /** The earlier of this and what was set before. */
  #after(delayMs: number): void {
    const dueAtMs = this.#deps.clock.monotonic() + delayMs;
    if (this.#stopped || dueAtMs >= this.#dueAtMs) return;
    this.#forget?.();
    this.#dueAtMs = dueAtMs;
    this.#forget = this.#deps.clock.after(delayMs, () => {
      this.#dueAtMs = Number.POSITIVE_INFINITY;
      this.#looking = this.#look().finally(() => {
        this.#looking = null;
        if (this.#moved) this.#after(restMs);
      });
    });
  }

  async #look(): Promise<void> {
    this.#moved = false;
    try {
      this.#told ??= await toldWaits(this.#deps);
      const { waiting, isWorkThere } = await tellWaits(this.#deps, this.#told);
      this.#told = waiting;
      if (isWorkThere) this.#after(sweepMs);
    } catch (error) {
      // What was told before it failed is read from the store again.
      this.#told = null;
      this.#deps.log.warn("What runs wait for could not be told; it is tried again", { error });
      this.#after(sweepMs);
    }
  }
}
