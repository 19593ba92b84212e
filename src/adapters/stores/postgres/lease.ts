import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { isTrusted, leaseTimes, remainingMs, type LeaseCount } from "../../../domain/lease.ts";
import type { Log } from "../../../ports/telemetry.ts";
import type { WorkerLease } from "../../../ports/worker.ts";
import { LeaseCell, monotonicMs } from "./lease-cell.ts";
import type { Identity } from "../../../clients/postgres/logins.ts";
import type { ChangingUrl } from "../../../clients/postgres/target.ts";
import { stopWord, type LeaseTask, type IdentityWord, type UrlWord } from "./lease-task.ts";

export interface LeaseDeps extends Pick<LeaseTask, "password" | "caFile" | "identity" | "worker"> {
  readonly url: string | ChangingUrl;
  readonly durationMs: number;
  /** When the first lease, which the store has granted, was asked for; by `monotonicMs`. */
  readonly sentAtMs: number;
  readonly log: Log;
  /** Writes into the worker's row that it is gone. */
  readonly sayGone: () => Promise<void>;
  /** Told of a renewal that failed. */
  readonly failed?: () => void;
}

const restartMs = 1_000;
const stopMs = 5_000;

/**
 * A lease that a thread renews on a connection of its own, so that neither a blocked event loop nor an exhausted pool costs
 * it. A process that is stopped as a whole renews nothing, and finds by the clock that it does not hold any more.
 */
export class PostgresLease implements WorkerLease {
  readonly #deps: LeaseDeps;
  readonly #cell = new LeaseCell();
  readonly #watchers = new Set<() => void>();
  #identity: Identity;
  #thread: Worker | null = null;
  #seen: LeaseCount | null = null;
  #lapse: NodeJS.Timeout | null = null;
  #hasFailed = false;
  #released: Promise<void> | null = null;
  readonly #unwatch: () => void;

  constructor(deps: LeaseDeps) {
    this.#deps = deps;
    this.#identity = deps.identity;
    this.#cell.write({ sentAtMs: deps.sentAtMs, lapses: 0 });
    const { url } = deps;
    this.#unwatch = typeof url === "string" ? () => undefined : url.watch(() => this.#tellUrl());
    this.#start();
    this.#awaitLapse();
  }

  holds(): boolean {
    if (this.#released !== null || this.#cell.isLost) return false;
    return isTrusted(this.#count(), this.#times(), monotonicMs());
  }

  isLost(): boolean {
    return this.#cell.isLost;
  }

  remainingMs(): number {
    if (this.#released !== null || this.#cell.isLost) return 0;
    return remainingMs(this.#count(), this.#times(), monotonicMs());
  }

  lapses(): number {
    return this.#count().lapses;
  }

  watch(fn: () => void): () => void {
    const own = (): void => fn();
    this.#watchers.add(own);
    return () => {
      this.#watchers.delete(own);
    };
  }

  /** From now on it is renewed as this user, with this certificate. */
  use(identity: Identity): void {
    this.#identity = identity;
    const word: IdentityWord = { identity };
    this.#thread?.postMessage(word, []);
  }

  release(how: { readonly gone: boolean }): Promise<void> {
    this.#released ??= this.#release(how);
    return this.#released;
  }

  async #release({ gone }: { readonly gone: boolean }): Promise<void> {
    if (this.#lapse !== null) clearTimeout(this.#lapse);
    this.#unwatch();
    await this.#stopThread();
    this.#tell();
    const { worker, log, sayGone } = this.#deps;
    if (!gone) return;
    try {
      await sayGone();
    } catch (error) {
      log.warn("A worker could not say that it is gone", { worker, error });
    }
  }

  #start(): void {
    const { password, caFile, worker, durationMs } = this.#deps;
    const url = this.#url();
    const times = leaseTimes(durationMs);
    const buffer = this.#cell.buffer;
    const identity = this.#identity;
    const task: LeaseTask = { url, password, caFile, identity, worker, times, buffer };
    const thread = new Worker(new URL("./lease-thread.ts", import.meta.url), { workerData: task });
    thread.unref();
    thread.on("message", (word: unknown) => this.#heard(word));
    thread.on("error", (error) =>
      this.#deps.log.error("The thread that renews the lease failed; another one is started", {
        worker,
        error,
      }),
    );
    thread.once("exit", () => {
      if (this.#thread === thread) void this.#startAgain();
    });
    this.#thread = thread;
  }

  #tellUrl(): void {
    const word: UrlWord = { url: this.#url() };
    this.#thread?.postMessage(word, []);
  }

  /** The store is open, so it was known once, and is from then on. */
  #url(): string {
    const { url } = this.#deps;
    return typeof url === "string" ? url : (url.now() ?? "");
  }

  async #startAgain(): Promise<void> {
    this.#thread = null;
    await sleep(restartMs, undefined, { ref: false });
    if (this.#released === null && !this.#cell.isLost) this.#start();
  }

  async #stopThread(): Promise<void> {
    const thread = this.#thread;
    this.#thread = null;
    if (thread === null) return;
    const ended = once(thread, "exit");
    thread.postMessage(stopWord, []);
    await Promise.race([ended, sleep(stopMs, undefined, { ref: false })]);
    await thread.terminate();
  }

  #heard(word: unknown): void {
    const { worker, log } = this.#deps;
    if (word === "renewed") {
      if (this.#hasFailed) log.info("The worker's lease is renewed again", { worker });
      this.#hasFailed = false;
      this.#awaitLapse();
    } else if (word === "lost") log.warn("The store says that this worker is gone", { worker });
    else {
      this.#deps.failed?.();
      if (!this.#hasFailed)
        log.warn("The worker's lease could not be renewed; it is tried again", { worker, word });
      this.#hasFailed = true;
      return;
    }
    this.#tell();
  }

  /** Tells those who watch when it stops being trusted because nothing came. */
  #awaitLapse(): void {
    if (this.#lapse !== null) clearTimeout(this.#lapse);
    if (this.#released !== null) return;
    const { trustedMs } = this.#times();
    const restMs = this.#cell.read().sentAtMs + trustedMs - monotonicMs();
    this.#lapse = setTimeout(() => this.#tell(), Math.max(0, restMs) + 1);
    this.#lapse.unref();
  }

  #tell(): void {
    for (const fn of this.#watchers) fn();
  }

  /** The same for all that is asked in one turn of the event loop: what is asked together fits together. */
  #count(): LeaseCount {
    if (this.#seen === null) {
      this.#seen = this.#cell.read();
      setImmediate(() => (this.#seen = null)).unref();
    }
    return this.#seen;
  }

  #times(): ReturnType<typeof leaseTimes> {
    return leaseTimes(this.#deps.durationMs);
  }
}
