import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Connection, type AsyncMessage, type Envelope, type Publisher } from "rabbitmq-client";
import { z } from "zod";
import { busEvent, busNames, busReply } from "../../src/contract/bus.ts";

export type BusReplyView = z.output<typeof busReply>;
export type BusEventView = z.output<typeof busEvent>;

export interface Sending {
  readonly id?: string;
  readonly type: string;
  readonly subject?: string;
  readonly data?: unknown;
  /** More attributes. */
  readonly more?: object;
  /** More properties of the message. */
  readonly properties?: Partial<Envelope>;
}

/** How long a server has to make its queue. */
const queueLimitMs = 30_000;

/** A program that orders over the bus and listens, as people write theirs: nothing of the service is used but the contract. */
export class BusClient {
  readonly connection: Connection;
  readonly replies: BusReplyView[] = [];
  readonly events: BusEventView[] = [];
  readonly deliveries: AsyncMessage[] = [];
  /** The client's own queue for answers. */
  readonly replyTo: string;
  readonly #publisher: Publisher;
  readonly #returned = new Set<string>();
  readonly #closers: (() => Promise<void>)[] = [];

  /** `url`: as `bus.url`, with the user guest. */
  constructor(url: string) {
    const [first = "", ...others] = url.split(",");
    const hosts = [new URL(first).host, ...others];
    this.connection = new Connection({ hosts, retryLow: 100, retryHigh: 500 });
    this.connection.on("error", () => undefined);
    this.replyTo = `test.replies.${randomUUID()}`;
    this.#publisher = this.connection.createPublisher({ confirm: true, maxAttempts: 50 });
    this.#publisher.on("basic.return", ({ messageId }) => this.#returned.add(messageId ?? ""));
  }

  /** Listens to answers and to events whose routing key has this pattern, in durable queues of its own. */
  async listen(pattern = "#"): Promise<void> {
    const events = `test.events.${randomUUID()}`;
    const arguments_ = { "x-queue-type": "quorum" } as const;
    const options = { durable: true, arguments: arguments_ };
    await this.#consume({ queue: this.replyTo, queueOptions: options }, (message) => {
      this.deliveries.push(message);
      this.replies.push(busReply.parse(JSON.parse(String(message.body))));
    });
    await this.#consume(
      {
        queue: events,
        queueOptions: options,
        exchanges: [{ exchange: busNames.events, type: "topic", durable: true }],
        queueBindings: [{ exchange: busNames.events, routingKey: pattern }],
      },
      (message) => this.events.push(busEvent.parse(JSON.parse(String(message.body)))),
    );
  }

  /** Sends a command, confirmed, with its own reply queue; gives its id. */
  async send({
    id = randomUUID(),
    type,
    subject,
    data,
    more,
    properties,
  }: Sending): Promise<string> {
    const body = { specversion: "1.0", id, source: "https://test.example.com", type, ...more };
    const whole = {
      ...body,
      ...(subject === undefined ? {} : { subject }),
      ...(data === undefined ? {} : { data }),
    };
    await this.raw(Buffer.from(JSON.stringify(whole)), {
      routingKey: type,
      correlationId: id,
      replyTo: this.replyTo,
      ...properties,
    });
    return id;
  }

  /** Sends until a queue takes it: a server that starts makes that a moment after it is ready for requests. What comes back was taken by none. */
  async raw(body: Buffer, properties: Partial<Envelope>): Promise<void> {
    const deadline = Date.now() + queueLimitMs;
    while (!(await this.#taken(body, properties))) {
      if (Date.now() > deadline) throw new Error("no queue takes commands");
      await sleep(20);
    }
  }

  /** False when it came back, as no queue is bound yet. */
  async #taken(body: Buffer, properties: Partial<Envelope>): Promise<boolean> {
    const messageId = randomUUID();
    await this.#publisher.send(
      {
        exchange: busNames.commands,
        routingKey: "test",
        durable: true,
        mandatory: true,
        contentType: "application/cloudevents+json",
        messageId,
        ...properties,
      },
      body,
    );
    await new Promise(setImmediate);
    return !this.#returned.has(messageId);
  }

  repliesOf(id: string): readonly BusReplyView[] {
    return this.replies.filter(({ data }) => data.sourceId === id);
  }

  /** Waits for an answer of this type to this command. */
  async reply(id: string, type: string, limitMs = 60_000): Promise<BusReplyView> {
    return this.until(
      () => this.repliesOf(id).find((reply) => reply.type === type),
      `${type} of ${id}; there came ${this.repliesOf(id)
        .map((reply) => reply.type)
        .join(", ")}`,
      limitMs,
    );
  }

  async until<T>(look: () => T | undefined | false, what: string, limitMs = 60_000): Promise<T> {
    const deadline = Date.now() + limitMs;
    for (;;) {
      const found = look();
      if (found !== undefined && found !== false) return found;
      if (Date.now() > deadline) throw new Error(`it did not come in ${limitMs} ms: ${what}`);
      await sleep(20);
    }
  }

  /**
   * How far a listener is that takes an environment's events as the contract says: what it has seen it ignores, and what is ahead
   * it lays aside until what is missing has come.
   */
  toldOf(environment: string): number {
    const subject = `environments/${environment}`;
    const seen = new Set(
      this.events.flatMap((event) => (event.subject === subject ? [event.sequence] : [])),
    );
    let last = 0;
    while (seen.has(last + 1)) last += 1;
    return last;
  }

  async close(): Promise<void> {
    await Promise.all(this.#closers.map((close) => close()));
    await this.#publisher.close();
    await this.connection.close();
  }

  async #consume(
    properties: Parameters<Connection["createConsumer"]>[0],
    take: (message: AsyncMessage) => void,
  ): Promise<void> {
    const consumer = this.connection.createConsumer(properties, async (message) => take(message));
    consumer.on("error", () => undefined);
    this.#closers.push(() => consumer.close());
    await new Promise<void>((resolve) => {
      consumer.once("ready", resolve);
    });
  }
}
