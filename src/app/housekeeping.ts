import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { BlobStore } from "../ports/blob.ts";
import type { Clock } from "../ports/clock.ts";
import type { Store } from "../ports/store.ts";
import type { Log } from "../ports/telemetry.ts";

export interface HousekeepingDeps {
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly workRoot: string;
  /** Removes what retention no longer keeps from the store, in bounded batches. */
  readonly prune: () => Promise<void>;
}

/** The start, and those who waited for it, come first. */
const firstAfterMs = 1_000;
const everyMs = 3_600_000;
/** Sealed plans are named by steps only while they may be applied (a day); anything this young is left alone. */
const youngestRemovedMs = 2 * 86_400_000;

/** Removes what nothing needs any more: rows past their retention, blobs that nothing names, work directories of the gone. */
export class Housekeeping {
  readonly #deps: HousekeepingDeps;
  #forget: (() => void) | null = null;
  #running: Promise<void> | null = null;
  #stopped = false;

  constructor(deps: HousekeepingDeps) {
    this.#deps = deps;
  }

  /** Once soon, in the background, then every hour. */
  start(): void {
    this.#forget = this.#deps.clock.after(firstAfterMs, () => this.#pass());
  }

  #pass(): void {
    this.#running = this.clean()
      .catch((error: unknown) =>
        this.#deps.log.warn("Housekeeping could not finish; it is tried again in an hour", {
          error,
        }),
      )
      .finally(() => {
        this.#running = null;
        if (!this.#stopped) this.#forget = this.#deps.clock.after(everyMs, () => this.#pass());
      });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#forget?.();
    await this.#running;
  }

  /** One pass. Safe to repeat and to cut off anywhere. */
  async clean(): Promise<void> {
    await this.#deps.prune();
    await this.#removeWork();
    await this.#removeBlobs();
  }

  async #removeWork(): Promise<void> {
    const { store, workRoot } = this.#deps;
    const names = await readdir(workRoot).catch(() => []);
    for (const name of names.filter((entry) => entry.startsWith("env_"))) {
      if (this.#stopped) return;
      const environment = await store.read((tx) => tx.environments.get(name));
      if (environment === null || environment.status === "destroyed")
        await rm(join(workRoot, name), { recursive: true, force: true });
    }
  }

  /** Mark, then sweep: a blob is put before the row that names it, so young ones are never removed. */
  async #removeBlobs(): Promise<void> {
    const { store, blobs, clock } = this.#deps;
    const named = await store.read(
      async (tx) =>
        new Set([...(await tx.templates.blobDigests()), ...(await tx.states.blobDigests())]),
    );
    for await (const { digest, putAtMs } of blobs.list()) {
      if (this.#stopped) return;
      if (!named.has(digest) && clock.now() - putAtMs > youngestRemovedMs)
        await blobs.remove(digest);
    }
  }
}
