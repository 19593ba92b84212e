import { setTimeout as sleep } from "node:timers/promises";
import { Connection, type AsyncMessage } from "rabbitmq-client";
import { z } from "zod";
import { full } from "./chaos.ts";
import type { Order, Sent } from "./publisher.ts";

const exchange = { commands: "glasshouse.commands", events: "glasshouse.events" } as const;
const contentType = "application/cloudevents+json";

const replySchema = z.object({
  type: z.string(),
  data: z.object({
    id: z.string().nullable(),
    run: z.string().nullish(),
    error: z.object({ code: z.string() }).nullable(),
  }),
});

/** In the long form a broker may be away for a minute, again and again, and be there for seconds in between. */
const answerMs = full ? 900_000 : 180_000;
const confirmMs = 5_000;
const replyMs = 5_000;

/** A service that orders over RabbitMQ and keeps its own log of what was confirmed and what was answered. */
export class BusPublisher {
  readonly source: string;
  readonly log: Sent[] = [];
  /** Messages that the broker has confirmed, repetitions too. */
  confirmed = 0;
  readonly #connection: Connection;
  readonly #publisher: ReturnType<Connection["createPublisher"]>;
  readonly #replies: ReturnType<Connection["createConsumer"]>;
  readonly #waiting = new Map<string, (reply: z.output<typeof replySchema>) => void>();
  readonly #replyQueue: string;

  constructor(of: { readonly url: string; readonly source: string }) {
    this.source = of.source;
    this.#replyQueue = `answers.${of.source}`;
    this.#connection = new Connection({ url: of.url, retryLow: 100, retryHigh: 1_000 });
    // A broker that is stopped by the test is no error of the test.
    this.#connection.on("error", () => undefined);
    this.#publisher = this.#connection.createPublisher({ confirm: true, maxAttempts: 1 });
    const queue = { queue: this.#replyQueue, durable: true } as const;
    this.#replies = this.#connection.createConsumer(
      { queue: this.#replyQueue, queueOptions: queue, qos: { prefetchCount: 50 } },
      (message) => this.#answered(message),
    );
    this.#replies.on("error", () => undefined);
  }

  /** Sends it until the broker has it and the service has answered, again and again with the same id. */
  async send(order: Order, limitMs = answerMs): Promise<Sent> {
    const beganMs = performance.now();
    for (let tries = 1; performance.now() - beganMs < limitMs; tries += 1) {
      const reply = Promise.withResolvers<z.output<typeof replySchema>>();
      this.#waiting.set(order.id, reply.resolve);
      await this.confirm(order);
      const answer = await Promise.race([reply.promise, sleep(replyMs, null)]);
      if (answer === null) continue;
      this.#waiting.delete(order.id);
      const { id, run, error } = answer.data;
      const refused = answer.type === "command.refused";
      const sent: Sent = {
        ...order,
        answer: refused ? "refused" : "accepted",
        code: error?.code ?? null,
        command: refused ? null : id,
        run: run ?? null,
        beganMs,
        answeredMs: performance.now(),
        tries,
      };
      this.log.push(sent);
      return sent;
    }
    throw new Error(`${order.type} ${order.id} had no answer in ${limitMs} ms`);
  }

  /** Sends it until the broker has confirmed it. */
  async confirm(order: Order): Promise<void> {
    const { id, type, subject, data, ifsequence } = order;
    const condition = ifsequence === undefined ? {} : { ifsequence };
    const event = {
      specversion: "1.0",
      id,
      source: this.source,
      type,
      subject,
      data,
      ...condition,
    };
    await this.raw(Buffer.from(JSON.stringify(event)), { type, id });
  }

  /** Sends any bytes until the broker has confirmed them. */
  async raw(
    body: Buffer,
    of: { readonly type: string; readonly id?: string; readonly contentType?: string },
  ): Promise<void> {
    const envelope = {
      exchange: exchange.commands,
      routingKey: of.type,
      mandatory: true,
      durable: true,
      contentType: of.contentType ?? contentType,
      replyTo: this.#replyQueue,
      ...(of.id === undefined ? {} : { correlationId: of.id }),
    };
    for (;;) {
      const sent = await Promise.race([
        this.#publisher.send(envelope, body).then(
          () => true,
          () => false,
        ),
        sleep(confirmMs, false),
      ]);
      if (sent) break;
      await sleep(100);
    }
    this.confirmed += 1;
  }

  /** How many messages lie in a queue now. */
  async count(queue: string): Promise<number> {
    const { messageCount } = await this.#connection.queueDeclare({ queue, passive: true });
    return messageCount;
  }

  async close(): Promise<void> {
    await Promise.race([this.#connection.close(), sleep(3_000)]);
    this.#connection.unsafeDestroy();
  }

  #answered(message: AsyncMessage): void {
    const reply = replySchema.parse(JSON.parse(textOf(message.body)));
    // The first word counts: one that needs no run has ended with it.
    this.#waiting.get(message.correlationId ?? "")?.(reply);
  }
}

const eventSchema = z.object({
  type: z.string(),
  sequence: z.int(),
  environmentid: z.string().optional(),
});

/** Somebody who listens to every notification and checks that each environment's come in order and without gaps. */
export class BusListener {
  /** Events of environments by id, the last one's sequence. */
  readonly last = new Map<string, number>();
  readonly gaps: string[] = [];
  received = 0;
  repeated = 0;
  readonly #connection: Connection;
  readonly #consumer: ReturnType<Connection["createConsumer"]>;

  constructor(url: string, queue = "listener") {
    this.#connection = new Connection({ url, retryLow: 100, retryHigh: 1_000 });
    this.#connection.on("error", () => undefined);
    this.#consumer = this.#connection.createConsumer(
      {
        queue,
        queueOptions: { queue, durable: true },
        exchanges: [{ exchange: exchange.events, type: "topic", durable: true }],
        queueBindings: [{ exchange: exchange.events, queue, routingKey: "#" }],
        // One after the other: the order is what is judged.
        concurrency: 1,
        qos: { prefetchCount: 200 },
      },
      (message) => this.#take(message),
    );
    this.#consumer.on("error", () => undefined);
  }

  /** Resolves when it is bound: what is sent from then on is heard. */
  async ready(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#consumer.once("ready", resolve);
    });
  }

  async close(): Promise<void> {
    await Promise.race([this.#connection.close(), sleep(3_000)]);
    this.#connection.unsafeDestroy();
  }

  #take(message: AsyncMessage): void {
    const { type, sequence, environmentid } = eventSchema.parse(JSON.parse(textOf(message.body)));
    this.received += 1;
    if (environmentid === undefined) return;
    const last = this.last.get(environmentid) ?? 0;
    if (sequence <= last) {
      this.repeated += 1;
      return;
    }
    if (sequence !== last + 1)
      this.gaps.push(`${environmentid}: after event ${last} came ${sequence} (${type})`);
    this.last.set(environmentid, sequence);
  }
}

function textOf(body: unknown): string {
  if (Buffer.isBuffer(body)) return body.toString("utf8");
  return typeof body === "string" ? body : JSON.stringify(body);
}
