import type { EngineDeps } from "../engine/deps.ts";
import type { Engine } from "../engine/engine.ts";
import type { Starts } from "../services/starts.ts";

/** The role of working on steps. Its part of the program is large, so it is loaded by its start. */
export class WorkerRole {
  readonly #deps: EngineDeps;
  readonly #starts: Pick<Starts, "use">;
  #engine: Engine | null = null;
  #starting: Promise<void> | null = null;
  #isStopping = false;

  /** `starts`: what is taken in here begins with its command where it can. */
  constructor(deps: EngineDeps, { starts }: { readonly starts: Pick<Starts, "use"> }) {
    this.#deps = deps;
    this.#starts = starts;
  }

  /** Resolves when it works, with what an earlier process left in flight taken over. Errors: those of the store. Safe to call again. */
  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /** Ends gently what it has begun. Safe to call before it has started, which it does not do any more then. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#starting?.catch(() => undefined);
    await this.#engine?.stop();
  }

  async #start(): Promise<void> {
    const { Engine: Loaded } = await import("../engine/engine.ts");
    if (this.#isStopping) return;
    this.#engine = new Loaded(this.#deps);
    this.#starts.use(this.#engine.starter);
    await this.#engine.start();
  }
}
