import { Looks } from "../lib/looks.ts";
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
  readonly #looks: Looks;
  #told: ReadonlySet<string> | null = null;
  #unwatch: readonly (() => void)[] = [];

  constructor(deps: WaitWatchDeps) {
    this.#deps = deps;
    this.#looks = new Looks({ clock: deps.clock, look: () => this.#look(), restMs });
  }

  start(): void {
    const { store } = this.#deps;
    const topics = ["steps", "queue", "workers"] as const;
    this.#unwatch = topics.map((topic) => store.watch(topic, () => this.#looks.moved()));
    this.#looks.moved();
  }

  async stop(): Promise<void> {
    for (const unwatch of this.#unwatch) unwatch();
    await this.#looks.stop();
  }

  async #look(): Promise<void> {
    try {
      this.#told ??= await toldWaits(this.#deps);
      const { waiting, isWorkThere } = await tellWaits(this.#deps, this.#told);
      this.#told = waiting;
      if (isWorkThere) this.#looks.within(sweepMs);
    } catch (error) {
      // What was told before it failed is read from the store again.
      this.#told = null;
      this.#deps.log.warn("What runs wait for could not be told; it is tried again", { error });
      this.#looks.within(sweepMs);
    }
  }
}
