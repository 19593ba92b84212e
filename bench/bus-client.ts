import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Connection, type Channel } from "rabbitmq-client";
import { z } from "zod";
import { busNames } from "../src/contract/bus.ts";
import { machineMs } from "./bus-child.ts";
import { echoQueue, eventsQueue, rawQueue } from "./bus-setting.ts";

const quorum = { durable: true, arguments: { "x-queue-type": "quorum" } } as const;
const eventName = z.object({ type: z.string(), subject: z.string() });
/** What is idle has had time to end what it did. */
const restMs = 60;
const limitMs = 30_000;

/** Who orders over the bus: the same messages to the server and to the raw loop. */
export class BenchClient {
  readonly #connection: Connection;
  #channel: Channel | null = null;
  readonly #echoes = new Map<string, (atMs: number) => void>();
  readonly #starts = new Map<string, (atMs: number) => void>();

  constructor(url: string) {
    this.#connection = new Connection({ url, noDelay: true });
    this.#connection.on("error", () => undefined);
  }

  /** Queues of the raw loop, of its echoes and of the events; all of the kind that the server uses. */
  async declare(): Promise<void> {
    const channel = await this.#connection.acquire();
    this.#channel = channel;
    await channel.confirmSelect();
    for (const queue of [rawQueue, echoQueue, eventsQueue])
      await channel.queueDeclare({ queue, ...quorum });
    await channel.exchangeDeclare({ exchange: busNames.events, type: "topic", durable: true });
    await channel.basicConsume({ queue: echoQueue, noAck: true }, ({ correlationId }) => {
      this.#echoes.get(correlationId ?? "")?.(machineMs());
    });
    await this.#listen();
  }

  /** One command; gives the time until its step was begun and until the client was told. */
  async order(
    name: string,
    begins: Promise<number>,
  ): Promise<{ readonly begunMs: number; readonly toldMs: number }> {
    await sleep(restMs);
    const told = awaited(this.#starts, `environments/${name}`);
    const sentAtMs = machineMs();
    await this.#publish("commands", { name });
    const [begunAtMs, toldAtMs] = await within(Promise.all([begins, told]), name);
    return { begunMs: begunAtMs - sentAtMs, toldMs: toldAtMs - sentAtMs };
  }

  /** One message to the raw loop and back. */
  async echo(): Promise<number> {
    await sleep(restMs);
    const id = randomUUID();
    const back = awaited(this.#echoes, id);
    const sentAtMs = machineMs();
    await this.#publish("raw", { name: id, correlationId: id });
    return (await within(back, "the echo")) - sentAtMs;
  }

  /** So many messages to the raw loop at once, and back. */
  async echoes(count: number): Promise<void> {
    const ids = Array.from({ length: count }, () => randomUUID());
    const back = ids.map((id) => awaited(this.#echoes, id));
    for (const id of ids) await this.#publish("raw", { name: id, correlationId: id });
    await within(Promise.all(back), "the echoes");
  }

  /** Puts so many commands into a queue and returns when the broker has them all. */
  async fill(
    queue: "commands" | "raw",
    of: { readonly count: number; readonly prefix: string },
  ): Promise<void> {
    const sent: Promise<void>[] = [];
    for (let at = 0; at < of.count; at += 1) {
      sent.push(this.#publish(queue, { name: `${of.prefix}-${at}` }));
      if (at % 256 === 255) await Promise.all(sent);
    }
    await Promise.all(sent);
  }

  /** From here on nobody listens to events, and those that are there are gone. They go on to be kept for who collects them. */
  async forgetEvents(): Promise<void> {
    await this.#events?.close();
    this.#events = null;
    await this.#channel?.queuePurge({ queue: eventsQueue });
  }

  close(): void {
    this.#connection.unsafeDestroy();
  }

  #events: Channel | null = null;

  async #listen(): Promise<void> {
    const channel = await this.#connection.acquire();
    this.#events = channel;
    const binding = { queue: eventsQueue, exchange: busNames.events, routingKey: "#" };
    await channel.queueBind(binding);
    await channel.basicConsume({ queue: eventsQueue, noAck: true }, ({ body }) => {
      const { type, subject } = eventName.parse(JSON.parse(String(body)));
      if (type === "step.started") this.#starts.get(subject)?.(machineMs());
    });
  }

  async #publish(
    to: "commands" | "raw",
    { name, correlationId }: { readonly name: string; readonly correlationId?: string },
  ): Promise<void> {
    const type = "environment.create";
    const command = {
      specversion: "1.0",
      id: name,
      source: "https://bench.example.com",
      type,
      data: { name, template: "bench" },
    };
    const envelope = {
      durable: true,
      contentType: "application/cloudevents+json",
      messageId: name,
      ...(to === "raw"
        ? { routingKey: rawQueue }
        : { exchange: busNames.commands, routingKey: type }),
      ...(correlationId === undefined ? {} : { correlationId, replyTo: echoQueue }),
    };
    await this.#channel?.basicPublish(envelope, Buffer.from(JSON.stringify(command)));
  }
}

function awaited(known: Map<string, (atMs: number) => void>, key: string): Promise<number> {
  return new Promise((resolve) => {
    known.set(key, (atMs) => {
      known.delete(key);
      resolve(atMs);
    });
  });
}

async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  const forget = new AbortController();
  const late = sleep(limitMs, undefined, { signal: forget.signal }).then(() => {
    throw new Error(`${what} did not come in ${limitMs} ms`);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    forget.abort();
    late.catch(() => undefined);
  }
}
