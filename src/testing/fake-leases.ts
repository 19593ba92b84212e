import { countRenewal, isTrusted, leaseTimes, remainingMs } from "../domain/lease.ts";
import type { LeaseCount } from "../domain/lease.ts";
import type { NewWorker } from "../domain/worker.ts";
import type { Clock } from "../ports/clock.ts";
import type { Store } from "../ports/store.ts";
import type { WorkerLease } from "../ports/worker.ts";

/**
 * Leases on a store that has none, so that engines of one process share it as replicas share a database. One for each
 * engine, because each can be cut off by itself.
 */
export class FakeLeases {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #times: ReturnType<typeof leaseTimes>;
  #isCut = false;

  constructor(of: { readonly store: Store; readonly clock: Clock; readonly durationMs: number }) {
    this.#store = of.store;
    this.#clock = of.clock;
    this.#times = leaseTimes(of.durationMs);
  }

  /** From now on renewals do not reach the store, or reach it again. Other transactions do. */
  cut(isCut: boolean): void {
    this.#isCut = isCut;
  }

  lease = async (worker: NewWorker): Promise<WorkerLease> => {
    const sentAtMs = this.#clock.monotonic();
    await this.#store.transact((tx) => tx.workers.put(worker, this.#times.durationMs));
    return new FakeLease({
      clock: this.#clock,
      times: this.#times,
      sentAtMs,
      renew: async () =>
        this.#isCut
          ? null
          : this.#store.transact((tx) => tx.workers.renew(worker.id, this.#times.durationMs)),
      sayGone: () => this.#store.transact((tx) => tx.workers.setStatus(worker.id, "gone")),
    });
  };
}

interface Parts {
  readonly clock: Clock;
  readonly times: ReturnType<typeof leaseTimes>;
  readonly sentAtMs: number;
  /** Null when there was no answer. */
  readonly renew: () => Promise<boolean | null>;
  readonly sayGone: () => Promise<void>;
}

class FakeLease implements WorkerLease {
  readonly #parts: Parts;
  readonly #watchers = new Set<() => void>();
  readonly #forget = new Set<() => void>();
  #count: LeaseCount;
  #lost = false;
  #released = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#count = { sentAtMs: parts.sentAtMs, lapses: 0 };
    this.#plan();
  }

  holds(): boolean {
    const { clock, times } = this.#parts;
    return !this.#released && !this.#lost && isTrusted(this.#count, times, clock.monotonic());
  }

  isLost(): boolean {
    return this.#lost;
  }

  remainingMs(): number {
    const { clock, times } = this.#parts;
    if (this.#released || this.#lost) return 0;
    return remainingMs(this.#count, times, clock.monotonic());
  }

  lapses(): number {
    return this.#count.lapses;
  }

  watch(fn: () => void): () => void {
    this.#watchers.add(fn);
    return () => {
      this.#watchers.delete(fn);
    };
  }

  async release({ gone }: { readonly gone: boolean }): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    this.#forgetAll();
    if (gone) await this.#parts.sayGone();
  }

  #plan(): void {
    const { clock, times } = this.#parts;
    this.#forgetAll();
    this.#forget.add(clock.after(times.renewEveryMs, () => void this.#renew()));
    // What trusts the lease is told when that ends, unless a renewal comes first.
    const trustedMs = this.#count.sentAtMs + times.trustedMs - clock.monotonic();
    if (trustedMs > 0) this.#forget.add(clock.after(trustedMs, () => this.#tell()));
  }

  async #renew(): Promise<void> {
    const { clock, times, renew } = this.#parts;
    const sentAtMs = clock.monotonic();
    const granted = await renew().catch(() => null);
    if (this.#released) return;
    if (granted === false) this.#lost = true;
    if (granted === true)
      this.#count = countRenewal(this.#count, times, {
        sentAtMs,
        answeredAtMs: clock.monotonic(),
      });
    if (!this.#lost) this.#plan();
    if (granted !== null) this.#tell();
  }

  #tell(): void {
    for (const fn of this.#watchers) fn();
  }

  #forgetAll(): void {
    for (const forget of this.#forget) forget();
    this.#forget.clear();
  }
}
