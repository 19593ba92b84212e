import { leaveQueued, type Starter, type TakenIn } from "../ports/starter.ts";
import type { Store, Tx } from "../ports/store.ts";

/** The way of a command into the store: through whoever works in this process, where somebody does. */
export class Starts implements Starter {
  readonly #store: Pick<Store, "transact">;
  #starter: Starter | null = null;

  constructor(store: Pick<Store, "transact">) {
    this.#store = store;
  }

  /** From now on runs may begin with their commands, while this one works. */
  use(starter: Starter): void {
    this.#starter = starter;
  }

  async takeIn<T>(fn: (tx: Tx) => Promise<TakenIn<T>>): Promise<T> {
    if (this.#starter !== null) return this.#starter.takeIn(fn);
    const alone = async (tx: Tx): Promise<T> => leaveQueued(tx, await fn(tx));
    return this.#store.transact(alone, { brief: true });
  }
}
