import { mayPass } from "../domain/errors.ts";
import { outlivesLeaseMs } from "../domain/lease.ts";
import type { Attempts } from "./attempts.ts";
import type { EngineDeps } from "./deps.ts";
import type { Membership } from "./membership.ts";
import { takeOver } from "./takeover.ts";

/** How often steps of others are looked for although no worker's row has changed: how late a death is noticed. */
const takeOverEveryMs = 2_000;

const notLookedFor = "Steps that others left could not be looked for; it is tried again";

interface Parts {
  readonly deps: EngineDeps;
  readonly membership: Membership;
  readonly attempts: Attempts;
  /** There may be something to claim, or what could not be written can be. */
  readonly wake: () => void;
}

/**
 * Holds on to what this worker owns while its lease lasts, lets go of it when the lease is over, and takes what others
 * left. Where holding the store is the lease, all of it happens once, at the start.
 */
export class Tenure {
  readonly #parts: Parts;
  readonly #ends: (() => void)[] = [];
  #forgetLapse: (() => void) | null = null;
  #forgetLook: (() => void) | null = null;
  /** Lapses of the lease after which it was made sure what is still owned. */
  #seenLapses = 0;
  #moves = 0;
  #isFollowing = false;
  #looking: Promise<void> | null = null;
  /** Whether what there was at the start has been taken over. */
  #hasTaken = false;
  #stopped = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Joins the workers and takes over what may be taken. Resolves once that is known to be safe. Where the store is shared, what is in
   * the way and may pass, such as a lease that lapsed while the machine was slow, is left to the looks that follow.
   */
  async start(): Promise<void> {
    const { deps, membership } = this.#parts;
    await membership.join();
    try {
      await this.#takeOver();
    } catch (error) {
      if (this.#isAlone || !mayPass(error)) throw error;
      deps.log.warn(notLookedFor, { error });
    }
    this.#ends.push(deps.store.watch("workers", () => void this.#look()));
    this.#follow();
  }

  /** Follows the lease no longer and looks for nothing any more. The lease itself goes on. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const end of this.#ends.splice(0)) end();
    this.#forgetLook?.();
    this.#forgetLapse?.();
    await this.#looking;
  }

  #follow(): void {
    const { lease } = this.#parts.membership;
    if (lease === null) return;
    this.#seenLapses = lease.lapses();
    this.#ends.push(lease.watch(() => this.#moved()));
    this.#moved();
    this.#lookLater();
  }

  #moved(): void {
    const { membership } = this.#parts;
    if (this.#stopped || membership.lease === null) return;
    this.#watchLapse();
    this.#moves += 1;
    if (!this.#isFollowing) void this.#catchUp();
  }

  /** What moved while it was busy is looked at before it rests. */
  async #catchUp(): Promise<void> {
    const { membership } = this.#parts;
    this.#isFollowing = true;
    for (let seen = -1; seen !== this.#moves && !this.#stopped;) {
      seen = this.#moves;
      if (membership.lease?.isLost() === true) await this.#beginAnew();
      else await this.#extend();
    }
    this.#isFollowing = false;
  }

  /** Only children of steps that are still this worker's may go on: after a lapse the store is asked which those are. */
  async #extend(): Promise<void> {
    const { deps, membership, attempts, wake } = this.#parts;
    const { lease, id } = membership;
    if (lease === null || !lease.holds()) return;
    try {
      for (let lapses = lease.lapses(); lapses !== this.#seenLapses; lapses = lease.lapses()) {
        const owned = await deps.store.read((tx) => tx.steps.ownedBy(id));
        attempts.keepOnly(owned);
        if (lapses === lease.lapses()) this.#seenLapses = lapses;
      }
    } catch (error) {
      deps.log.warn(
        "What this server still owns could not be looked up; its programs are not given more time",
        {
          error,
        },
      );
      return;
    }
    attempts.extend(lease.remainingMs() + outlivesLeaseMs);
    wake();
  }

  /** A while after the lease's end what runs is stopped. A child's own warden does the same, also when this process cannot. */
  #watchLapse(): void {
    const { deps, membership, attempts } = this.#parts;
    const leftMs = membership.lease?.remainingMs() ?? 0;
    // After the end what was set before it counts.
    if (leftMs <= 0 || !Number.isFinite(leftMs)) return;
    this.#forgetLapse?.();
    this.#forgetLapse = deps.clock.after(leftMs + outlivesLeaseMs, () => {
      if ((membership.lease?.remainingMs() ?? 0) > 0) return;
      deps.log.warn("The lease of this server has ended; what it runs is stopped", {
        worker: membership.id,
      });
      attempts.lapse();
    });
  }

  async #beginAnew(): Promise<void> {
    const { deps, membership, attempts, wake } = this.#parts;
    deps.log.warn("This server was taken for dead; it stops what it runs and begins anew", {
      worker: membership.id,
    });
    attempts.forgetAll();
    await membership.joinAnew(() => this.#stopped);
    if (this.#stopped) return;
    this.#follow();
    wake();
  }

  /** Nobody else can be there, so nobody else can leave anything. */
  get #isAlone(): boolean {
    return this.#parts.membership.lease?.remainingMs() === Number.POSITIVE_INFINITY;
  }

  async #takeOver(): Promise<boolean> {
    const { deps, membership } = this.#parts;
    const hasTaken = await takeOver(deps, membership, { always: !this.#hasTaken });
    this.#hasTaken = true;
    return hasTaken;
  }

  #lookLater(): void {
    const { deps } = this.#parts;
    this.#forgetLook?.();
    if (this.#isAlone) return;
    this.#forgetLook = deps.clock.after(takeOverEveryMs, () => void this.#look());
  }

  #look(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    this.#looking ??= this.#lookOnce().finally(() => {
      this.#looking = null;
      if (!this.#stopped) this.#lookLater();
    });
    return this.#looking;
  }

  async #lookOnce(): Promise<void> {
    const { deps, membership, wake } = this.#parts;
    if (!membership.holds()) return;
    try {
      if (await this.#takeOver()) wake();
    } catch (error) {
      deps.log.warn(notLookedFor, { error });
    }
  }
}
