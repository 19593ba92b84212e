import type { JournalEvent } from "../domain/event.ts";
import { backoff } from "../lib/backoff.ts";
import type { Bus, BusNotice, EventOrigin } from "../ports/bus.ts";
import type { Clock } from "../ports/clock.ts";
import type { RelayGrant } from "../ports/relay.ts";
import type { ReadTx, Store } from "../ports/store.ts";
import type { Log } from "../ports/telemetry.ts";

export interface RelayDeps {
  readonly store: Store;
  readonly bus: Pick<Bus, "publish">;
  readonly clock: Clock;
  readonly log: Log;
  readonly settings?: Partial<RelaySettings>;
}

export interface RelaySettings {
  /** Another replica takes over so long after the owner was heard of last. */
  readonly leaseMs: number;
  /** The owner says so often that it lives; the others ask so often. */
  readonly renewMs: number;
  /** Events read and sent at once. */
  readonly batch: number;
  /** Batches that are sent and not yet confirmed. */
  readonly ahead: number;
  /** What comes so soon after the first event goes out with it: a command's work is not held up by telling of it. */
  readonly gatherMs: number;
}

export const relayDefaults: RelaySettings = {
  leaseMs: 6_000,
  renewMs: 2_000,
  batch: 250,
  ahead: 4,
  gatherMs: 2,
};

const name = "bus";

interface Batch {
  /** The position of its last event. */
  readonly position: number;
  readonly notices: readonly BusNotice[];
}

/**
 * Passes the journal on to the bus: every event at least once, in order, and the answers to who waits for a command's end. Of all
 * replicas one does it; the cursor in the store moves when the bus has confirmed, so whoever takes over goes on from there. A
 * bus that is down costs nothing but a journal that is read later.
 */
export class Relay {
  readonly #deps: RelayDeps;
  readonly #settings: RelaySettings;
  readonly #owner: string;
  #isStopping = false;
  #running: Promise<void> | null = null;
  #wake: (() => void) | null = null;
  #isMoved = false;
  #unwatch: (() => void) | null = null;
  #grant: RelayGrant | null = null;
  #renewedAtMs = 0;

  constructor(deps: RelayDeps) {
    this.#deps = deps;
    this.#settings = { ...relayDefaults, ...deps.settings };
    this.#owner = deps.clock.id("worker");
  }

  start(): void {
    if (this.#running !== null) return;
    this.#unwatch = this.#deps.store.watch("journal", () => {
      this.#isMoved = true;
      // Others only wait for the owner to fall silent.
      if (this.#grant !== null) this.#wake?.();
    });
    this.#running = this.#run();
  }

  /** Resolves when it sends nothing more; another replica may go on at once. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#unwatch?.();
    this.#wake?.();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let failures = 0; !this.#isStopping;) {
      try {
        this.#grant ??= await this.#take();
        if (this.#grant !== null) await this.#drain(this.#grant);
        failures = 0;
        if (!this.#isMoved || this.#grant === null) {
          await this.#rest(this.#settings.renewMs);
          if (this.#isMoved && this.#grant !== null) await this.#gather();
        }
      } catch (error) {
        failures += 1;
        const words =
          "The journal could not be passed on to the bus; it is tried again from where it was";
        this.#deps.log[failures === 1 ? "warn" : "debug"](words, { error });
        // Another replica may reach the bus.
        await this.#giveUp();
        const mostMs = 10_000;
        await this.#rest(
          backoff({ attempt: failures, baseMs: 250, mostMs, random: Math.random() }),
        );
      }
    }
    await this.#giveUp();
  }

  async #take(): Promise<RelayGrant | null> {
    const { store, clock } = this.#deps;
    const askedAtMs = clock.monotonic();
    const grant = await store.transact((tx) =>
      tx.relays.take(name, this.#owner, this.#settings.leaseMs),
    );
    this.#renewedAtMs = askedAtMs;
    this.#isMoved = true;
    return grant;
  }

  /** Until everything there is has been sent and confirmed. Some batches are under way while the next is read. */
  async #drain({ token, position }: RelayGrant): Promise<void> {
    const underWay: Promise<number>[] = [];
    let read = position;
    let confirmed = position;
    /** Batches that are confirmed and not written down as such. */
    let behind = 0;
    /** Set once one has failed: one behind it that is read just then would overtake it. */
    const sent = { isBroken: false };
    const { ahead } = this.#settings;
    try {
      for (;;) {
        this.#isMoved = false;
        const batch = this.#isStopping ? null : await this.#read(read);
        if (batch !== null) {
          read = batch.position;
          const sending = this.#send(batch, sent);
          // It may fail while those before it are waited for, or the next is read.
          sending.catch(() => (sent.isBroken = true));
          underWay.push(sending);
        }
        const [first] = underWay;
        if (first !== undefined && (batch === null || underWay.length >= ahead)) {
          confirmed = await first;
          void underWay.shift();
          behind += 1;
        }
        // A commit a batch would cost as much as sending it; that many are sent again anyway after a crash.
        const isOver = batch === null && underWay.length === 0;
        if (behind >= ahead || (isOver && behind > 0) || this.#isLate) {
          await this.#advance(token, confirmed);
          behind = 0;
        }
        if (isOver) return;
      }
    } finally {
      // What is behind the one that failed fails too, or is sent again.
      await Promise.allSettled(underWay);
    }
  }

  async #read(after: number): Promise<Batch | null> {
    return this.#deps.store.read(async (tx) => {
      const events = await tx.events.after(after, { limit: this.#settings.batch });
      const last = events.at(-1);
      return last === undefined
        ? null
        : { position: last.position, notices: await noticesOf(tx, events) };
    });
  }

  async #send({ position, notices }: Batch, sent: { readonly isBroken: boolean }): Promise<number> {
    // A lease that may have ended could be another's by now.
    if (this.#deps.clock.monotonic() - this.#renewedAtMs >= this.#settings.leaseMs)
      await this.#renew();
    if (sent.isBroken) throw new Error("a batch before it was not confirmed");
    const outcomes = await this.#deps.bus.publish(notices);
    for (const [at, outcome] of outcomes.entries()) {
      const notice = notices[at];
      if (outcome === "returned" && notice?.kind === "reply")
        this.#deps.log.info("An answer found no queue that takes it", {
          queue: notice.reply.to.queue,
        });
    }
    return position;
  }

  async #renew(): Promise<void> {
    const grant = this.#grant;
    if (grant !== null) await this.#advance(grant.token, grant.position);
  }

  async #advance(token: number, position: number): Promise<void> {
    const { store, clock } = this.#deps;
    const { leaseMs } = this.#settings;
    const askedAtMs = clock.monotonic();
    const holds = await store.transact((tx) =>
      tx.relays.advance(name, { token, position, leaseMs }),
    );
    if (!holds) {
      this.#grant = null;
      throw new Error("another replica passes the journal on now");
    }
    this.#renewedAtMs = askedAtMs;
    this.#grant = { token, position };
  }

  get #isLate(): boolean {
    return this.#deps.clock.monotonic() - this.#renewedAtMs >= this.#settings.renewMs;
  }

  async #giveUp(): Promise<void> {
    const grant = this.#grant;
    this.#grant = null;
    if (grant === null) return;
    try {
      await this.#deps.store.transact((tx) => tx.relays.release(name, grant.token));
    } catch (error) {
      this.#deps.log.debug("The relay's lease is let run out", { error });
    }
  }

  /** Short, and nothing ends it before. */
  async #gather(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#deps.clock.after(this.#settings.gatherMs, resolve);
    });
  }

  async #rest(delayMs: number): Promise<void> {
    if (this.#isStopping) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const forget = this.#deps.clock.after(delayMs, resolve);
    this.#wake = resolve;
    await promise;
    this.#wake = null;
    forget();
  }
}

/** Events as notices, each with what its command was sent with; and the answers to those who wait for a command's end. */
async function noticesOf(
  tx: ReadTx,
  events: readonly JournalEvent[],
): Promise<readonly BusNotice[]> {
  const ids = events.flatMap(({ commandId }) => (commandId === null ? [] : [commandId]));
  const origins = await tx.commands.origins([...new Set(ids)]);
  const byId = new Map(origins.map((origin) => [origin.id, origin]));
  const notices: BusNotice[] = [];
  for (const event of events) {
    const origin = byId.get(event.commandId ?? "") ?? null;
    notices.push({ kind: "event", event, origin: origin === null ? null : originOf(origin) });
    if (origin === null || origin.reply === null || !isEnd(event)) continue;
    const command = await tx.commands.get(origin.id);
    // One without a run was answered with its end when it was taken.
    if (command === null || command.runId === null) continue;
    const reply = { to: origin.reply, about: command, time: event.time };
    notices.push({ kind: "reply", reply });
  }
  return notices;
}

function originOf({ traceparent, correlationId }: EventOrigin): EventOrigin {
  return { traceparent, correlationId };
}

function isEnd({ type }: JournalEvent): boolean {
  return type === "command.completed" || type === "command.failed";
}
