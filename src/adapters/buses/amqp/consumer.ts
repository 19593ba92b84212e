import { setTimeout as sleep } from "node:timers/promises";
import type { AsyncMessage, Channel, Connection } from "rabbitmq-client";
import { busNames } from "../../../contract/bus.ts";
import { backoff } from "../../../lib/backoff.ts";
import type { BusMessage, Decided, Verdict } from "../../../ports/bus.ts";
import { timestamp, type Clock } from "../../../ports/clock.ts";
import type { Log, Metrics } from "../../../ports/telemetry.ts";
import { counted } from "./count.ts";
import { deadLetterOf, incomingOf, outboundOf, type Self } from "./message.ts";
import type { Outbound, Publisher } from "./publisher.ts";
import type { AmqpTimes } from "./settings.ts";
import { NoAnswer, within } from "./time-limit.ts";
import { busDown } from "./topology.ts";

export interface ConsumerOptions {
  readonly connection: Connection;
  readonly declare: () => Promise<unknown>;
  /** Called when the broker has not given the queue in time. */
  readonly silent: () => void;
  readonly answers: Publisher;
  readonly prefetch: number;
  readonly self: Self;
  readonly take: (message: BusMessage) => Promise<Verdict>;
  readonly times: AmqpTimes;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "count">;
}

const answersTried = 5;

/**
 * Takes commands from the queue until it is stopped, over whatever happens to connection and queue. A message is acknowledged
 * when it is decided and its answer confirmed; what is unacknowledged when the channel ends comes again, here or elsewhere.
 */
export class CommandConsumer {
  readonly #options: ConsumerOptions;
  readonly #stopping = new AbortController();
  /** Messages that have come and are not yet acknowledged. */
  readonly #inHand = new Set<Promise<void>>();
  readonly #running: Promise<void>;
  readonly #begun = Promise.withResolvers<void>();
  /** One that cannot be taken now. Nothing is taken until it can be. */
  #probe: BusMessage | null = null;
  #channel: Channel | null = null;
  #consumerTag: string | null = null;

  constructor(options: ConsumerOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** Resolves when messages come for the first time. */
  get begun(): Promise<void> {
    return this.#begun.promise;
  }

  /** Takes no more; resolves when what was taken is answered, or `drainMs` is over: then it comes again elsewhere. */
  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return this.#running;
    this.#stopping.abort();
    const [channel, consumerTag] = [this.#channel, this.#consumerTag];
    const { drainMs, openMs } = this.#options.times;
    if (channel?.active === true && consumerTag !== null) {
      await within(openMs, () => channel.basicCancel(consumerTag)).catch(() => undefined);
      const drained = Promise.all(this.#inHand);
      await within(drainMs, () => drained).catch(() => undefined);
      await within(openMs, () => channel.close()).catch(() => undefined);
    }
    await within(openMs, () => this.#running).catch(() => undefined);
  }

  async #run(): Promise<void> {
    const { log } = this.#options;
    for (let attempt = 1; !this.#isStopping; attempt += 1) {
      try {
        await this.#consumeOnce();
        attempt = 0;
      } catch (error) {
        log.debug("The commands of the bus are not taken; it is tried again", { error });
      }
      if (this.#probe !== null) await this.#waitFor(this.#probe);
      await this.#rest(
        backoff({ attempt: attempt + 1, baseMs: 100, mostMs: 5_000, random: Math.random() }),
      );
    }
  }

  /** Until the channel is gone. */
  async #consumeOnce(): Promise<void> {
    const { connection, declare, silent, times } = this.#options;
    const opened: { channel: Channel | null } = { channel: null };
    try {
      const closed = await within(times.openMs, async () => {
        await declare();
        opened.channel = await connection.acquire();
        return this.#consumeOver(opened.channel);
      });
      this.#begun.resolve();
      if (this.#isStopping) await opened.channel?.close();
      await closed.promise;
    } catch (error) {
      // A queue whose leader is lost may never answer. The channel would hold what it is given later.
      void opened.channel?.close();
      if (error instanceof NoAnswer) silent();
      throw error;
    }
  }

  /** Resolves when messages come over it. Wrapped, as a promise in a promise would be waited for. */
  async #consumeOver(channel: Channel): Promise<{ readonly promise: Promise<unknown> }> {
    const closed = new Promise((resolve) => {
      channel.once("close", resolve);
    });
    // The queue was removed, or its leader is lost: it is declared and consumed again.
    channel.once("basic.cancel", () => void channel.close());
    this.#channel = channel;
    await channel.basicQos({ prefetchCount: this.#options.prefetch });
    const queue = busNames.commandQueue;
    const { consumerTag } = await channel.basicConsume({ queue }, (message) =>
      this.#receive(channel, message),
    );
    this.#consumerTag = consumerTag;
    return { promise: closed };
  }

  #receive(channel: Channel, message: AsyncMessage): void {
    const handling = this.#handle(channel, message)
      .catch((error: unknown) => {
        // Unacknowledged, it comes again on another channel.
        this.#options.log.debug("A command of the bus comes again", { error });
        if (!this.#isStopping) void channel.close();
      })
      .finally(() => this.#inHand.delete(handling));
    this.#inHand.add(handling);
  }

  async #handle(channel: Channel, message: AsyncMessage): Promise<void> {
    const { log, clock, self, metrics } = this.#options;
    if (message.redelivered) metrics.count("glasshouse_bus_redelivered_total", {});
    const verdict = await this.#decide(channel, incomingOf(message, self));
    metrics.count("glasshouse_bus_received_total", { outcome: verdict?.outcome ?? "returned" });
    if (verdict === null) return;
    if (verdict.outcome === "parked") {
      const { reason, detail } = verdict;
      const death = { reason, detail, time: timestamp(clock) };
      await this.#answer(deadLetterOf(message, death, self), "kept");
      log.warn("A message of the bus was laid with the dead letters", { reason, detail });
    }
    if (verdict.reply !== null)
      await this.#answer(outboundOf({ kind: "reply", reply: verdict.reply }), "asked");
    if (channel.active) channel.basicAck({ deliveryTag: message.deliveryTag });
  }

  /** Asks until there is an answer. Null: it goes back to the queue. */
  async #decide(channel: Channel, message: BusMessage): Promise<Decided | null> {
    const { take, clock, times, log } = this.#options;
    const sinceMs = clock.monotonic();
    for (let attempt = 1; ; attempt += 1) {
      const verdict = await take(message);
      if (verdict.outcome !== "again") return verdict;
      if (this.#isStopping || !channel.active || this.#probe !== null) return null;
      // A process that was stopped for so long has tried once at the most.
      if (attempt > 1 && clock.monotonic() - sinceMs >= times.holdMs) {
        if (verdict.otherwise !== null) return verdict.otherwise;
        const { error } = verdict;
        log.warn("Commands of the bus wait in their queue: they cannot be taken now", { error });
        this.#probe = message;
        void channel.close();
        return null;
      }
      await this.#rest(backoff({ attempt, baseMs: 100, mostMs: 2_000, random: Math.random() }));
    }
  }

  /**
   * The message itself is back in the queue: when it can be taken, it is, and coming again it is known. So an outage costs
   * it one delivery, however long it lasts.
   */
  async #waitFor(message: BusMessage): Promise<void> {
    for (let attempt = 1; !this.#isStopping; attempt += 1) {
      const verdict = await this.#options.take(message);
      if (verdict.outcome !== "again" || verdict.otherwise !== null) break;
      await this.#rest(backoff({ attempt, baseMs: 500, mostMs: 10_000, random: Math.random() }));
    }
    if (!this.#isStopping) this.#options.log.info("Commands of the bus are taken again");
    this.#probe = null;
  }

  /** `kept`: it must be there. `asked`: who asked may be gone, or its queue full, which is its own affair. */
  async #answer(message: Outbound, need: "kept" | "asked"): Promise<void> {
    const { answers, log, metrics } = this.#options;
    const kind = need === "kept" ? "dead-letter" : "reply";
    for (let attempt = 1; ; attempt += 1) {
      const [outcome] = await counted(metrics, [kind], () => answers.send([message]));
      if (outcome === "sent") return;
      if (need === "asked") {
        const queue = message.envelope.routingKey;
        log.info("An answer found no queue that takes it", { queue, outcome });
        return;
      }
      if (attempt === answersTried) throw busDown(new Error(`the dead letter was ${outcome}`));
      await this.#rest(backoff({ attempt, baseMs: 200, mostMs: 2_000, random: Math.random() }));
    }
  }

  get #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #rest(delayMs: number): Promise<void> {
    await sleep(delayMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }
}
