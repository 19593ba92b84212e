import { GlasshouseError } from "../domain/errors.ts";
import { backoff } from "../lib/backoff.ts";
import { timestamp } from "../ports/clock.ts";
import type { Store } from "../ports/store.ts";
import type { WorkerLease } from "../ports/worker.ts";
import type { EngineDeps } from "./deps.ts";

type MembershipDeps = Pick<
  EngineDeps,
  "store" | "clock" | "log" | "metrics" | "processes" | "worker"
>;

/**
 * This process as one of the workers that share the store: under which id it claims, and whether it may write. An id whose
 * lease the store has declared over is given up for a new one.
 */
export class Membership {
  readonly #deps: MembershipDeps;
  #id: string;
  #lease: WorkerLease | null = null;
  #joining: Promise<void> | null = null;
  /** Of the leases before this one. */
  #lapsesBefore = 0;

  constructor(deps: MembershipDeps) {
    this.#deps = deps;
    this.#id = deps.clock.id("worker");
    this.#observe();
  }

  get id(): string {
    return this.#id;
  }

  get lease(): WorkerLease | null {
    return this.#lease;
  }

  /** Makes this worker known, once. Before that it holds nothing. */
  join(): Promise<void> {
    this.#joining ??= this.#join().catch((error: unknown) => {
      this.#joining = null;
      throw error;
    });
    return this.#joining;
  }

  /** Joins under a new id, because the old one is over. Tries until it succeeds or `isOver` says that nobody needs it. */
  async joinAnew(isOver: () => boolean): Promise<void> {
    const { clock, log, metrics } = this.#deps;
    metrics.count("glasshouse_leases_lost_total", {});
    await this.#lease?.release({ gone: false });
    this.#lapsesBefore += this.#lease?.lapses() ?? 0;
    this.#lease = null;
    this.#id = clock.id("worker");
    for (let tries = 1; !isOver(); tries += 1) {
      try {
        this.#joining = this.#join();
        return await this.#joining;
      } catch (error) {
        log.warn("The store does not take this worker yet; it is tried again", { error });
        const delayMs = backoff({
          attempt: tries,
          baseMs: 200,
          mostMs: 5_000,
          random: Math.random(),
        });
        await new Promise<void>((resolve) => {
          clock.after(delayMs, resolve);
        });
      }
    }
  }

  /** Lets others know that this worker takes nothing new. It works without their knowing. */
  async drain(): Promise<void> {
    const { store, log } = this.#deps;
    if (!this.holds()) return;
    try {
      await store.transact((tx) => tx.workers.setStatus(this.#id, "draining"));
    } catch (error) {
      log.warn("The store could not be told that this server stops", { error });
    }
  }

  /** Gives the lease back; with `gone` others may take at once what was not ended. */
  async leave(how: { readonly gone: boolean }): Promise<void> {
    await this.#lease?.release(how);
  }

  holds(): boolean {
    return this.#lease?.holds() ?? false;
  }

  /** Errors: `unavailable` while this worker may not write. What it wanted to write is held and tried again. */
  check(): void {
    if (this.holds()) return;
    throw new GlasshouseError(
      "unavailable",
      "This server's lease was not renewed in time, so it writes nothing until the store grants it again.",
    );
  }

  /** The store as this worker may use it: transactions of a worker whose lease does not hold are refused. */
  guard(store: Store): Store {
    return {
      transact: (fn, how) =>
        store.transact((tx) => {
          this.check();
          return fn(tx);
        }, how),
      read: (fn) => store.read(fn),
      search: (fn) => store.search(fn),
      watch: (topic, fn) => store.watch(topic, fn),
      lease: (worker) => store.lease(worker),
      health: () => store.health(),
      close: () => store.close(),
    };
  }

  #observe(): void {
    const { metrics } = this.#deps;
    metrics.observe("glasshouse_lease_held", () => [{ value: Number(this.holds()), labels: {} }]);
    metrics.observe("glasshouse_lease_remaining_seconds", () => {
      const remainingMs = this.#lease?.remainingMs() ?? 0;
      return Number.isFinite(remainingMs) ? [{ value: remainingMs / 1000, labels: {} }] : [];
    });
    metrics.observe("glasshouse_lease_lapses_total", () => [
      { value: this.#lapsesBefore + (this.#lease?.lapses() ?? 0), labels: {} },
    ]);
  }

  async #join(): Promise<void> {
    const { store, clock, processes, worker } = this.#deps;
    this.#lease = await store.lease({
      ...worker,
      id: this.#id,
      process: await processes.self(),
      startedAt: timestamp(clock),
    });
  }
}
