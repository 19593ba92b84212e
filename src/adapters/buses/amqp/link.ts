import { Connection } from "rabbitmq-client";
import { busNames } from "../../../contract/bus.ts";
import type { BusMessage, Verdict } from "../../../ports/bus.ts";
import { CommandConsumer } from "./consumer.ts";
import type { Self } from "./message.ts";
import { Publisher } from "./publisher.ts";
import type { AmqpCredentials, AmqpOptions, AmqpTimes } from "./settings.ts";
import { watchedSocket, type SocketOptions } from "./socket.ts";
import { within } from "./time-limit.ts";
import { declareTopology } from "./topology.ts";

interface LinkOptions extends AmqpOptions {
  /** Where each new connection goes. */
  readonly socket: SocketOptions;
  /** Its connection is gone, or could not be made. Of the tries that follow the client says nothing. */
  readonly lost: (link: Link) => void;
  /** It stands, and the broker has not answered over it in time. */
  readonly silent: (link: Link) => void;
}

interface Depths {
  readonly commands: number;
  readonly dead: number;
}

/** Unconfirmed messages at once: enough to keep a broker on the same network busy. */
const eventWindow = 512;
const answerWindow = 512;

/** One connection under one set of credentials, with everything that goes over it. It heals by itself; credentials it keeps. */
export class Link {
  readonly connection: Connection;
  readonly self: Self;
  /** What must keep its order. */
  readonly events: Publisher;
  /** Answers, and messages on their way to or from the dead letters. */
  readonly answers: Publisher;
  readonly #options: LinkOptions;
  readonly #times: AmqpTimes;
  #consumer: CommandConsumer | null = null;
  #isBlocked = false;
  #notes = "";
  #counting: Promise<Depths> | null = null;

  constructor(options: LinkOptions, credentials: AmqpCredentials, times: AmqpTimes) {
    const { settings, clock } = options;
    this.#options = options;
    this.#times = times;
    const socket = watchedSocket(options.socket);
    this.self = { user: credentials.username, prove: options.prove };
    this.connection = new Connection({
      hosts: [...settings.hosts],
      socket: socket.options,
      vhost: settings.vhost,
      username: credentials.username,
      password: credentials.password,
      ...(credentials.tls === null ? {} : { tls: { ...credentials.tls } }),
      connectionName: "glasshouse",
      // A peer that is silent for twice as long is gone.
      heartbeat: 10,
      connectionTimeout: 5_000,
      acquireTimeout: times.openMs,
      retryLow: 100,
      retryHigh: 3_000,
      frameMax: 131_072,
      noDelay: true,
    });
    this.#listen();
    const silent = (): void => options.silent(this);
    const declare = (): Promise<void> => this.declare();
    const { connection } = this;
    const shared = { connection, socket: socket.latest, declare, silent, times, clock };
    this.events = new Publisher({ ...shared, window: eventWindow, ordered: true });
    this.answers = new Publisher({ ...shared, window: answerWindow, ordered: false });
  }

  /** The broker has run low on memory or disk: it takes nothing for now. */
  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  /** What of the topology is not as it was asked for; empty when it is. */
  get notes(): string {
    return this.#notes;
  }

  consume(take: (message: BusMessage) => Promise<Verdict>): void {
    const { settings, clock, log, metrics } = this.#options;
    this.#consumer ??= new CommandConsumer({
      connection: this.connection,
      declare: () => this.declare(),
      silent: () => this.#options.silent(this),
      answers: this.answers,
      prefetch: settings.prefetch,
      self: this.self,
      take,
      times: this.#times,
      clock,
      log,
      metrics,
    });
  }

  /** Resolves when the broker has taken the credentials, and messages come if they are wanted. Rejects after `openMs`. */
  async ready(): Promise<void> {
    await this.connection.onConnect(this.#times.openMs, true);
    const begun = this.#consumer?.begun;
    if (begun !== undefined) await within(this.#times.openMs, () => begun);
  }

  async stopConsuming(): Promise<void> {
    await this.#consumer?.stop();
  }

  /** Makes sure that exchanges and queues are there. Safe to repeat. */
  async declare(): Promise<void> {
    const notes = (await declareTopology(this.connection, this.#options.settings)).join("; ");
    if (notes !== this.#notes && notes !== "")
      this.#options.log.warn("The broker has other settings than were asked for", { notes });
    this.#notes = notes;
  }

  /** Commands and dead letters that lie ready. Rejects when the broker is away, or does not answer in time. */
  async depths(limitMs: number): Promise<Depths> {
    // One that hangs is not joined by others: each would hold a channel.
    const { openMs } = this.#times;
    this.#counting ??= within(openMs, () => this.#count()).finally(() => (this.#counting = null));
    const counting = this.#counting;
    return within(limitMs, () => counting);
  }

  async #count(): Promise<Depths> {
    const channel = await this.connection.acquire();
    try {
      const count = async (queue: string): Promise<number> =>
        (await channel.queueDeclare({ queue, passive: true })).messageCount;
      return {
        commands: await count(busNames.commandQueue),
        dead: await count(busNames.deadLetters),
      };
    } finally {
      void channel.close();
    }
  }

  /** Lets what is under way end, for at most `drainMs`, then disconnects. */
  async close(): Promise<void> {
    await this.stopConsuming();
    const { drainMs, openMs } = this.#times;
    const idle = Promise.all([this.events.idle(), this.answers.idle()]);
    if (this.connection.ready) await within(drainMs, () => idle).catch(() => undefined);
    await within(openMs, async () => {
      await Promise.all([this.events.close(), this.answers.close()]);
      await this.connection.close();
    }).catch(() => undefined);
    this.connection.unsafeDestroy();
  }

  /** Ends at once: nothing that is under way is waited for. */
  abandon(): void {
    void this.stopConsuming();
    this.connection.unsafeDestroy();
  }

  #listen(): void {
    const { connection, log, lost } = this.#options;
    this.connection.on("error", (error: unknown) => {
      connection.down(error);
      lost(this);
    });
    this.connection.on("connection", () => {
      this.#isBlocked = false;
      connection.up();
    });
    this.connection.on("connection.blocked", (reason) => {
      this.#isBlocked = true;
      log.warn("The broker takes nothing for now: it is low on memory or disk", { reason });
    });
    this.connection.on("connection.unblocked", () => {
      this.#isBlocked = false;
      log.info("The broker takes messages again");
    });
  }
}
