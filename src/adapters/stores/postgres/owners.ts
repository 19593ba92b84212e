import type { Job } from "./job.ts";
import type { Transaction } from "./transaction.ts";

/** How many transactions share a commit at most, and how long those that joined may take before it is made. */
export interface JoinLimits {
  readonly transactions: number;
  readonly openMs: number;
}

/**
 * A transaction of this process that holds environments. Others of this process that want one of them do not wait for it in
 * the database, each with a connection, to commit one after the other: they run in it, each in a savepoint, and share its
 * commit.
 */
export class Owner {
  readonly transaction: Transaction;
  readonly held = new Set<string>();
  /** Sequences of what is held, as the hold told them and this transaction raised them; null where there was no row. */
  readonly sequences = new Map<string, Promise<number | null>>();
  /** Who of those that use the transaction at the same time changes what of it just now. */
  readonly #with = new Map<string, object>();
  readonly #limits: JoinLimits;
  readonly #joining: Job[] = [];
  #joined = 0;
  #joinedSinceMs: number | null = null;
  #isOpen = true;
  readonly #ended = Promise.withResolvers<void>();

  constructor(transaction: Transaction, limits: JoinLimits) {
    this.transaction = transaction;
    this.#limits = limits;
  }

  /** Resolves when it holds nothing any more. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Whether one of those who use the transaction, another than this one, is at work on it. */
  isWithOther(environmentId: string, by: object): boolean {
    const other = this.#with.get(environmentId);
    return other !== undefined && other !== by;
  }

  enter(environmentId: string, by: object): void {
    this.#with.set(environmentId, by);
  }

  leave(environmentId: string, by: object): void {
    if (this.#with.get(environmentId) === by) this.#with.delete(environmentId);
  }

  /** Takes the job in when there is room. It is then run, and settled or sent away, by this transaction's writer. */
  admit(job: Job): boolean {
    if (!this.#isOpen || this.#joined + 1 >= this.#limits.transactions) return false;
    this.#joined += 1;
    this.#joining.push(job);
    return true;
  }

  /** The next that joined, or null; then nobody joins any more. */
  next(): Job | null {
    const now = performance.now();
    this.#joinedSinceMs ??= now;
    const isLate = now - this.#joinedSinceMs > this.#limits.openMs;
    const job = isLate ? null : (this.#joining.shift() ?? null);
    if (job === null) this.#isOpen = false;
    return job;
  }

  /** Those whose turn did not come. */
  end(): readonly Job[] {
    this.#isOpen = false;
    this.#ended.resolve();
    return this.#joining.splice(0);
  }
}

/** Which transaction of this process holds, or waits to hold, which environment. */
export class Owners {
  readonly #owners = new Map<string, Owner>();

  of(environmentId: string): Owner | null {
    return this.#owners.get(environmentId) ?? null;
  }

  take(environmentId: string, owner: Owner): void {
    owner.held.add(environmentId);
    this.#owners.set(environmentId, owner);
  }

  /** What the transaction could not get. */
  giveUp(environmentId: string, owner: Owner): void {
    owner.held.delete(environmentId);
    if (this.#owners.get(environmentId) === owner) this.#owners.delete(environmentId);
  }

  /** All that the transaction held. */
  free(owner: Owner): void {
    for (const id of owner.held) if (this.#owners.get(id) === owner) this.#owners.delete(id);
  }
}
