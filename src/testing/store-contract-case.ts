import type { Store } from "../ports/store.ts";
import type { FakeClock } from "./fake-clock.ts";

export interface OpenStore {
  readonly store: Store;
  readonly clock: FakeClock;
  /** Lets the clock that the store counts leases on move, whichever that is. */
  passTime(byMs: number): Promise<void>;
  /** Closes the store and removes what it left. */
  end(): Promise<void>;
}

/** One promise of the store port. */
export interface ContractCase {
  readonly title: string;
  readonly unsafeWithoutFence?: boolean;
  run(open: Omit<OpenStore, "end">): Promise<void>;
}
