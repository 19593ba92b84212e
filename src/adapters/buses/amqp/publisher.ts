import type { Duplex } from "node:stream";
import type { Channel, Connection, Envelope } from "rabbitmq-client";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { Clock } from "../../../ports/clock.ts";
import { NoAnswer, within } from "./time-limit.ts";
import { busDown, codeOf } from "./topology.ts";
import type { AmqpTimes } from "./settings.ts";

/** A message with its properties. `messageId` is needed where `mandatory` is. */
export interface Outbound {
  readonly envelope: Envelope;
  readonly body: Buffer;
}

/** `refused`: a queue that it was meant for is full, or its leader is away. `returned`: there is none. */
export type Confirmed = "sent" | "returned" | "refused";

export interface PublisherOptions {
  readonly connection: Connection;
  /** Makes sure that what is published to exists. */
  readonly declare: () => Promise<unknown>;
  /** Called when the broker has not confirmed, or not opened a channel, in time. */
  readonly silent: () => void;
  /** What the connection is made of, to write many messages as one; null while that is not known. */
  readonly socket: () => Pick<Duplex, "cork" | "uncork"> | null;
  /** Unconfirmed messages at once. */
  readonly window: number;
  readonly times: AmqpTimes;
  readonly clock: Clock;
  /** A refusal fails everything behind it too, so that what is sent again keeps its order. */
  readonly ordered: boolean;
}

/** What was given to be sent at once, and what became of it so far. */
interface Sending {
  readonly messages: readonly Outbound[];
  readonly generation: number;
  readonly outcomes: Confirmed[];
  /** Not confirmed yet. */
  left: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Less than what a socket takes before it asks to wait. */
const corkedBytes = 40_000;
/** About what a message is beside its body. */
const envelopeBytes = 800;

/**
 * Publishes with confirms over one channel, many under way at once: one awaited confirm at a time would cost a round trip
 * and a disk write each. The client knows no time limit for confirms, and a broker whose queue changes its leader may never
 * send one; so this counts itself, and begins anew on another channel.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  #channel: Channel | null = null;
  /** Sends of an older generation fail: something before them was not confirmed. */
  #generation = 0;
  #written: Promise<void> = Promise.resolve();
  #outstanding = 0;
  #isBlocked = false;
  #progressAtMs = 0;
  #forgetWatch: (() => void) | null = null;
  #slotsFree: (() => void) | null = null;
  readonly #failing = new Set<(error: unknown) => void>();
  readonly #returned = new Set<string>();
  readonly #idle: (() => void)[] = [];

  constructor(options: PublisherOptions) {
    this.#options = options;
    options.connection.on("connection.blocked", () => (this.#isBlocked = true));
    options.connection.on("connection.unblocked", () => (this.#isBlocked = false));
    options.connection.on("connection", () => (this.#isBlocked = false));
  }

  /** In order; resolves when all are confirmed. Rejects with `unavailable` when any was not in time, and all that came later. */
  async send(messages: readonly Outbound[]): Promise<readonly Confirmed[]> {
    if (messages.length === 0) return [];
    const generation = this.#generation;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const outcomes = messages.map((): Confirmed => "sent");
    const sending = { messages, generation, outcomes, left: messages.length, resolve, reject };
    this.#failing.add(reject);
    this.#written = this.#writeAll(sending, this.#written).catch((error: unknown) => {
      this.#fail(generation, error);
      reject(busDown(error));
    });
    try {
      await promise;
      if (messages.some(({ envelope }) => envelope.mandatory === true))
        return await this.#lookAtReturns(messages, outcomes);
      return outcomes;
    } finally {
      this.#failing.delete(reject);
      if (this.#failing.size === 0) for (const wake of this.#idle.splice(0)) wake();
    }
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    if (this.#failing.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#idle.push(resolve);
    });
  }

  async close(): Promise<void> {
    this.#forgetWatch?.();
    const channel = this.#channel;
    this.#channel = null;
    await channel?.close();
  }

  /** After what was to be written before. */
  async #writeAll(sending: Sending, before: Promise<void>): Promise<void> {
    await before;
    const { messages, generation } = sending;
    for (let at = 0; at < messages.length;) {
      while (this.#outstanding >= this.#options.window && generation === this.#generation) {
        await new Promise<void>((resolve) => {
          this.#slotsFree = resolve;
        });
      }
      if (generation !== this.#generation) throw new Error("a message before it was not confirmed");
      const channel = this.#channel?.active === true ? this.#channel : await this.#open(generation);
      at = this.#writeSome(sending, at, channel);
    }
  }

  /** As many as there are places for. Gives where to go on. */
  #writeSome(sending: Sending, from: number, channel: Channel): number {
    const free = this.#options.window - this.#outstanding;
    const until = Math.min(sending.messages.length, from + free);
    const socket = this.#options.socket();
    this.#watch();
    let at = from;
    while (at < until) {
      socket?.cork();
      for (let bytes = 0; at < until && bytes < corkedBytes; at += 1)
        bytes += this.#write(sending, at, channel);
      socket?.uncork();
    }
    return at;
  }

  /** Gives about how many bytes it is on the wire. */
  #write(sending: Sending, at: number, channel: Channel): number {
    const message = sending.messages[at];
    if (message === undefined) return 0;
    this.#outstanding += 1;
    channel.basicPublish(message.envelope, message.body).then(
      () => this.#confirmed("sent", sending, at),
      (error: unknown) => {
        this.#confirmed("refused", sending, at);
        if (codeOf(error) === "NACK" && !this.#options.ordered) return;
        this.#fail(sending.generation, error);
        sending.reject(busDown(error));
      },
    );
    return message.body.length + envelopeBytes;
  }

  #confirmed(outcome: Confirmed, sending: Sending, at: number): void {
    sending.outcomes[at] = outcome;
    sending.left -= 1;
    if (sending.generation === this.#generation) {
      this.#outstanding -= 1;
      this.#progressAtMs = this.#options.clock.monotonic();
      // Half of them at once: the broker has the other half to work on meanwhile, and what goes out goes out together.
      if (this.#outstanding <= this.#options.window / 2) this.#wakeWriter();
    }
    if (sending.left === 0) sending.resolve();
  }

  #wakeWriter(): void {
    const wake = this.#slotsFree;
    this.#slotsFree = null;
    wake?.();
  }

  async #open(generation: number): Promise<Channel> {
    const { connection, declare, times } = this.#options;
    const channel = await within(times.openMs, async () => {
      await declare();
      const opened = await connection.acquire();
      await opened.confirmSelect();
      return opened;
    }).catch((error: unknown) => {
      if (error instanceof NoAnswer) this.#options.silent();
      throw error;
    });
    if (generation !== this.#generation) {
      void channel.close();
      throw new Error("the channel came too late");
    }
    channel.on("basic.return", ({ routingKey, messageId }) =>
      this.#returned.add(keyOf(routingKey, messageId)),
    );
    this.#channel = channel;
    return channel;
  }

  /** Everything that is under way fails; what comes after begins on a new channel. */
  #fail(generation: number, error: unknown): void {
    if (generation !== this.#generation) return;
    this.#generation += 1;
    this.#outstanding = 0;
    this.#returned.clear();
    this.#forgetWatch?.();
    this.#forgetWatch = null;
    const channel = this.#channel;
    this.#channel = null;
    // Closing waits for the broker, which may be what is stuck.
    void channel?.close();
    const failure = busDown(error);
    for (const reject of this.#failing) reject(failure);
    this.#wakeWriter();
  }

  #watch(): void {
    if (this.#forgetWatch !== null) return;
    const { clock, times } = this.#options;
    this.#progressAtMs = clock.monotonic();
    const look = (): void => {
      this.#forgetWatch = null;
      if (this.#outstanding === 0) return;
      const silentMs = clock.monotonic() - this.#progressAtMs;
      if (silentMs >= times.confirmMs && !this.#isBlocked) {
        const words = `no confirmation came in ${Math.round(silentMs / 1000)} s`;
        this.#fail(this.#generation, new GlasshouseError("unavailable", words));
        this.#options.silent();
      } else this.#forgetWatch = clock.after(Math.max(50, times.confirmMs - silentMs), look);
    };
    this.#forgetWatch = clock.after(times.confirmMs, look);
  }

  /** A returned message is confirmed first; the return is told before the next turn of the event loop ends. */
  async #lookAtReturns(
    messages: readonly Outbound[],
    outcomes: readonly Confirmed[],
  ): Promise<readonly Confirmed[]> {
    await new Promise(setImmediate);
    return outcomes.map((outcome, at) => {
      const { routingKey, messageId } = messages[at]?.envelope ?? {};
      const isReturned = this.#returned.delete(keyOf(routingKey, messageId));
      return isReturned ? "returned" : outcome;
    });
  }
}

function keyOf(routingKey: string | undefined, messageId: string | undefined): string {
  return `${routingKey ?? ""}\n${messageId ?? ""}`;
}
