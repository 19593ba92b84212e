import { GlasshouseError } from "../../domain/errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Log } from "../../ports/telemetry.ts";
import { renewLease, revokeLease, takeLease, type Lease } from "./lease.ts";
import type { VaultSession } from "./session.ts";

export interface KeptLeaseOptions {
  readonly session: VaultSession;
  /** Such as `database/creds/glasshouse`. */
  readonly path: string;
  readonly clock: Pick<Clock, "monotonic" | "after">;
  readonly log: Log;
}

/** Within this part of its time a lease is renewed: at two thirds. */
const restPart = 1 / 3;
/** After a failure: this part of what is left, and while nothing is left. */
const againPart = 1 / 3;
const againMs = 5_000;
const soonestMs = 500;
const revokeMs = 5_000;
const trustMs = 1_000;

interface Held {
  readonly lease: Lease;
  readonly endsAtMs: number;
  /** Which login of the session it hangs on: it ends with that. */
  readonly login: number;
}

/**
 * A leased secret for as long as the server runs: renewed at two thirds of its lease, and taken anew when it cannot be renewed, when
 * it nears the most that it may live, when it was revoked, and after a new login. Whoever uses it is told, and says when it has gone
 * over to the new one: then the one before is revoked. `close` revokes what there is.
 */
export class KeptLease {
  readonly #options: KeptLeaseOptions;
  readonly #watchers = new Set<() => void>();
  readonly #unwatch: () => void;
  #held: Held | null = null;
  /** Replaced, and perhaps still in use. */
  #former: readonly Lease[] = [];
  #taking: Promise<Held> | null = null;
  #doubting: Promise<void> | null = null;
  /** The one that Vault has said to be in force just now. */
  #trusted: string | null = null;
  #forget: (() => void) | null = null;
  #closed = false;

  constructor(options: KeptLeaseOptions) {
    this.#options = options;
    this.#unwatch = options.session.watchLogins(() => this.#loggedIn());
  }

  /** What is in force; the first call takes it. Errors: those of `takeLease`. */
  async current(): Promise<Lease> {
    return (this.#held ?? (await this.#take())).lease;
  }

  /** Calls `fn` when there is another one. The returned function ends it. */
  watch(fn: () => void): () => void {
    const own = (): void => fn();
    this.#watchers.add(own);
    return () => void this.#watchers.delete(own);
  }

  /**
   * Call when what the lease gave is refused: when it is over, another one is taken before this resolves. What is in force stays.
   * Errors: those of the session.
   */
  async doubt(refused: Lease): Promise<void> {
    const held = this.#held;
    if (held === null || held.lease.id !== refused.id || this.#closed) return;
    // Many connections may be refused at once, and again and again.
    if (this.#trusted === refused.id) return;
    this.#doubting ??= this.#look(held).finally(() => (this.#doubting = null));
    await this.#doubting;
  }

  /** Whoever uses it has gone over to the one in force: those before it are revoked. */
  async settled(): Promise<void> {
    const former = this.#former;
    this.#former = [];
    for (const { id } of former) await this.#revoke(id);
  }

  /** Ends what was begun. Vault may be away: then leases end by themselves. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#unwatch();
    this.#watchers.clear();
    this.#forget?.();
    await this.#taking?.catch(() => undefined);
    if (this.#held !== null) this.#former = [...this.#former, this.#held.lease];
    this.#held = null;
    await this.settled();
  }

  async #look(held: Held): Promise<void> {
    const { session, clock } = this.#options;
    if ((await renewLease(session, held.lease)) === null) {
      if (this.#held === held) await this.#take();
      return;
    }
    this.#trusted = held.lease.id;
    clock.after(trustMs, () => (this.#trusted = null));
  }

  #take(): Promise<Held> {
    // Whoever asks meanwhile waits for the same one.
    this.#taking ??= this.#takeOne().finally(() => (this.#taking = null));
    return this.#taking;
  }

  async #takeOne(): Promise<Held> {
    const { session, path, clock } = this.#options;
    for (;;) {
      await session.ready();
      const login = session.logins;
      const sentAtMs = clock.monotonic();
      const lease = await takeLease(session, path);
      // It may hang on the login before, and end with it.
      if (login !== session.logins) await this.#revoke(lease.id);
      else return this.#hold({ lease, login, endsAtMs: sentAtMs + lease.ttlMs });
    }
  }

  #hold(held: Held): Held {
    const before = this.#held;
    this.#held = held;
    this.#watchOver(held);
    if (before === null) return held;
    this.#former = [...this.#former, before.lease];
    for (const fn of this.#watchers) fn();
    return held;
  }

  #loggedIn(): void {
    const held = this.#held;
    if (held === null || held.login === this.#options.session.logins) return;
    void this.#replace(held);
  }

  #watchOver(held: Held): void {
    const { clock } = this.#options;
    this.#wake(held.endsAtMs - held.lease.ttlMs * restPart - clock.monotonic(), held);
  }

  #wake(delayMs: number, held: Held): void {
    this.#forget?.();
    if (this.#closed) return;
    const waitMs = Math.max(soonestMs, delayMs);
    this.#forget = this.#options.clock.after(waitMs, () => void this.#prolong(held));
  }

  async #prolong(held: Held): Promise<void> {
    const { session, clock } = this.#options;
    if (!held.lease.renewable) return this.#replace(held);
    try {
      const sentAtMs = clock.monotonic();
      const renewed = await renewLease(session, held.lease);
      if (this.#held !== held) return;
      // One that reaches the end of what it may live is renewed for less each time: then another one is due.
      if (renewed === null || renewed.ttlMs < held.lease.ttlMs / 2)
        return await this.#replace(held);
      this.#held = { ...held, lease: renewed, endsAtMs: sentAtMs + renewed.ttlMs };
      this.#watchOver(this.#held);
    } catch (error) {
      // What may not be renewed is taken anew; that says what is wrong.
      if (error instanceof GlasshouseError && error.code === "forbidden")
        return this.#replace(held);
      this.#failed(held, error);
    }
  }

  async #replace(held: Held): Promise<void> {
    if (this.#held !== held) return;
    try {
      await this.#take();
    } catch (error) {
      this.#failed(held, error);
    }
  }

  #failed(held: Held, error: unknown): void {
    const { clock, log, path } = this.#options;
    if (this.#closed || this.#held !== held) return;
    const words = "Credentials of Vault could not be renewed; it is tried again";
    log.warn(words, { path, error });
    const leftMs = held.endsAtMs - clock.monotonic();
    this.#wake(leftMs > 0 ? Math.min(againMs, leftMs * againPart) : againMs, held);
  }

  async #revoke(id: string): Promise<void> {
    const { session, log, path } = this.#options;
    try {
      await revokeLease(session, id, { signal: AbortSignal.timeout(revokeMs) });
    } catch (error) {
      log.warn("A lease of Vault could not be revoked: it ends by itself", { path, error });
    }
  }
}
