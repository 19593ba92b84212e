import { setTimeout as sleep } from "node:timers/promises";
import { backoff } from "../../../lib/backoff.ts";
import type {
  Bus,
  BusMessage,
  BusNotice,
  BusStatus,
  PublishOutcome,
  RedriveRequest,
  Redriven,
  Verdict,
} from "../../../ports/bus.ts";
import { counted } from "./count.ts";
import { Link } from "./link.ts";
import { outboundOf } from "./message.ts";
import { redrive } from "./redrive.ts";
import { amqpTimes, type AmqpCredentials, type AmqpOptions, type AmqpTimes } from "./settings.ts";
import { socketTo } from "./socket.ts";
import { within } from "./time-limit.ts";
import { busDown } from "./topology.ts";

const statusMs = 2_000;
const renewRestMs = 10_000;

/** RabbitMQ, by AMQP 0-9-1. Over one connection, over two while credentials change hands. */
export class AmqpBus implements Bus {
  readonly kind = "amqp";
  readonly #options: AmqpOptions;
  readonly #times: AmqpTimes;
  readonly #closing = new AbortController();
  /** One for all connections, so that the next one goes to another node. */
  readonly #socket: ReturnType<typeof socketTo>;
  #link: Link | null = null;
  #credentials: AmqpCredentials | null = null;
  #take: ((message: BusMessage) => Promise<Verdict>) | null = null;
  /** Sends wait for it: what goes over a new connection comes after all that went over the one before. */
  #handingOver: Promise<void> | null = null;
  #renewing: Promise<void> = Promise.resolve();
  #renewalAsked = 0;
  #unwatch: (() => void) | null = null;
  /** The link whose user may be over. */
  #doubted: Link | null = null;

  constructor(options: AmqpOptions, times: Partial<AmqpTimes> = {}) {
    this.#options = options;
    this.#times = { ...amqpTimes, ...times };
    const { hosts } = options.settings;
    this.#socket = socketTo(options.hosts ?? (() => hosts), hosts);
  }

  /** Errors: those of the credentials. */
  async start(): Promise<void> {
    this.#credentials = await this.#options.credentials();
    this.#link = this.#linkAs(this.#credentials);
    const { watchCredentials, users } = this.#options;
    const ends = [
      watchCredentials(() => void this.renew()),
      users?.watch(() => void this.renew()) ?? (() => {}),
    ];
    this.#unwatch = () => {
      for (const end of ends) end();
    };
  }

  consume(take: (message: BusMessage) => Promise<Verdict>): void {
    this.#take = take;
    this.#link?.consume(take);
  }

  async stopConsuming(): Promise<void> {
    this.#take = null;
    await this.#link?.stopConsuming();
  }

  async publish(notices: readonly BusNotice[]): Promise<readonly PublishOutcome[]> {
    while (this.#handingOver !== null) await this.#handingOver;
    const { events } = this.#opened();
    const outcomes = await counted(
      this.#options.metrics,
      notices.map(({ kind }) => kind),
      () => events.send(notices.map((notice) => outboundOf(notice))),
    );
    // Only an answer can be refused by its queue alone: a refused event fails the whole.
    return outcomes.map((outcome) => (outcome === "sent" ? "sent" : "returned"));
  }

  async status(): Promise<BusStatus> {
    const { clock } = this.#options;
    const link = this.#link;
    const before = clock.monotonic();
    try {
      if (link === null) throw new Error("it is not started");
      const depths = await link.depths(statusMs);
      const detail = `RabbitMQ, ${depths.commands} commands waiting, ${depths.dead} dead letters`;
      const advice = adviceOf(link, depths.dead);
      const status = link.isBlocked ? "down" : "up";
      return { status, detail, latencyMs: clock.monotonic() - before, advice, ...depths };
    } catch (error) {
      const advice =
        "Commands by REST go on, and what happens is kept and sent when the broker answers again. Look at the broker, and at bus.url, bus.username and bus.password.";
      const detail = error instanceof Error ? error.message : String(error);
      return { status: "down", detail, latencyMs: null, advice, commands: null, dead: null };
    }
  }

  async redrive(asked: RedriveRequest): Promise<Redriven> {
    try {
      return await redrive(this.#opened(), asked);
    } catch (error) {
      throw busDown(error);
    }
  }

  /**
   * Call when credentials may have changed. With new ones a second connection is opened; once the broker has taken it, and
   * messages come over it, the first one is drained and closed. Until then the first goes on, and it is tried again.
   */
  async renew(): Promise<void> {
    this.#renewalAsked += 1;
    const asked = this.#renewalAsked;
    this.#renewing = this.#renewing.then(() => this.#renewUntilTaken(asked));
    await this.#renewing;
  }

  async close(): Promise<void> {
    this.#unwatch?.();
    this.#closing.abort();
    await this.#renewing;
    await this.#link?.close();
  }

  async #renewUntilTaken(asked: number): Promise<void> {
    for (
      let attempt = 1;
      asked === this.#renewalAsked && !this.#closing.signal.aborted;
      attempt += 1
    ) {
      try {
        await this.#renewOnce();
        return;
      } catch (error) {
        const words =
          "New credentials of the bus are not taken yet; the connection of before goes on";
        this.#options.log.warn(words, { error });
      }
      const restMs = backoff({ attempt, baseMs: 500, mostMs: renewRestMs, random: Math.random() });
      await sleep(restMs, undefined, { signal: this.#closing.signal }).catch(() => undefined);
    }
  }

  async #renewOnce(): Promise<void> {
    const credentials = await this.#options.credentials();
    const previous = this.#link;
    if (previous === null || same(credentials, this.#credentials)) return;
    const next = await this.#begin(credentials);
    const handed = within(this.#times.drainMs, () => previous.events.idle()).catch(() => undefined);
    this.#handingOver = handed;
    await handed;
    this.#handingOver = null;
    this.#link = next;
    this.#credentials = credentials;
    this.#options.log.info("The bus goes on with new credentials", { user: credentials.username });
    await previous.close();
    await this.#options.users?.settled();
  }

  /** A connection that the broker has taken, over which messages come if they are wanted. */
  async #begin(credentials: AmqpCredentials): Promise<Link> {
    const link = this.#linkAs(credentials);
    try {
      if (this.#take !== null) link.consume(this.#take);
      await link.ready();
      return link;
    } catch (error) {
      await link.close();
      throw error;
    }
  }

  #linkAs(credentials: AmqpCredentials): Link {
    const lost = (link: Link): void => void this.#doubt(link, credentials);
    const silent = (link: Link): void => {
      this.#renewing = this.#renewing.then(() => this.#leave(link, credentials));
    };
    const options = { ...this.#options, socket: this.#socket, lost, silent };
    return new Link(options, credentials, this.#times);
  }

  /**
   * A node that the others of its cluster do not reach keeps its connections and answers nothing that needs the others. Goes on
   * over a new connection, if one can be had; that is another node's where there is one. Not waited for is what is under way: it
   * may be done or not, and is sent or taken again.
   */
  async #leave(silent: Link, credentials: AmqpCredentials): Promise<void> {
    const isWanted = (): boolean =>
      this.#link === silent && silent.connection.ready && !this.#closing.signal.aborted;
    if (!isWanted()) return;
    const next = await this.#begin(credentials).catch(() => null);
    if (next === null) return;
    if (!isWanted()) return next.close();
    this.#link = next;
    this.#options.log.warn(
      "The broker has not answered in time: it goes on over another connection",
    );
    silent.abandon();
  }

  /** A user that was taken away under us looks like a broker that is away: whoever gives users knows. */
  async #doubt(link: Link, credentials: AmqpCredentials): Promise<void> {
    const { users, log } = this.#options;
    if (users === undefined || this.#doubted === link) return;
    this.#doubted = link;
    for (let attempt = 1; this.#link === link && !this.#closing.signal.aborted; attempt += 1) {
      await users
        .refused(credentials)
        .catch((error: unknown) =>
          log.debug("It is not known whether the user is over", { error }),
        );
      const restMs = backoff({ attempt, baseMs: 500, mostMs: renewRestMs, random: Math.random() });
      await sleep(restMs, undefined, { signal: this.#closing.signal }).catch(() => undefined);
      if (link.connection.ready) break;
    }
    this.#doubted = null;
  }

  #opened(): Link {
    if (this.#link === null) throw busDown(new Error("it is not started"));
    return this.#link;
  }
}

function adviceOf(link: Link, dead: number): string | null {
  if (link.isBlocked) return "Give the broker memory or disk: it takes nothing until it has some.";
  if (link.notes !== "")
    return `${link.notes}. Change it by a policy, or remove it when it is empty.`;
  return dead === 0 ? null : "Mend what the dead letters died of, then `glasshouse bus redrive`.";
}

function same(a: AmqpCredentials, b: AmqpCredentials | null): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
