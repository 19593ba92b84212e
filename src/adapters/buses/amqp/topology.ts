import type { Channel, Connection } from "rabbitmq-client";
import { busLimits, busNames } from "../../../contract/bus.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { AmqpSettings } from "./settings.ts";

type Queue = Exclude<Parameters<Connection["queueDeclare"]>[0], string | undefined>;

/** The dead letters have no use for a limit of deliveries; where none is declared, RabbitMQ 4 takes 20. */
const unlimited = 1_000_000;

/**
 * All limits are arguments of the queues, so that every version of the broker behaves alike: 3.10 has no delivery limit by
 * itself, 4 has one of 20. Dead-lettering is at-least-once (https://www.rabbitmq.com/docs/quorum-queues#dead-lettering).
 */
export function commandQueue({ maxLength, deliveryLimit }: AmqpSettings): Queue {
  return {
    queue: busNames.commandQueue,
    durable: true,
    arguments: {
      "x-queue-type": "quorum",
      "x-max-length": maxLength,
      "x-overflow": "reject-publish",
      "x-delivery-limit": deliveryLimit,
      "x-dead-letter-strategy": "at-least-once",
      "x-dead-letter-exchange": "",
      "x-dead-letter-routing-key": busNames.deadLetters,
    },
  };
}

export const deadLetterQueue: Queue = {
  queue: busNames.deadLetters,
  durable: true,
  arguments: {
    "x-queue-type": "quorum",
    "x-max-length": busLimits.deadLetters,
    "x-overflow": "drop-head",
    "x-delivery-limit": unlimited,
  },
};

/**
 * Makes sure that exchanges and queues are there. Safe to repeat. What is there with other arguments, or may not be declared
 * by this user, is used as it is; the returned words say so. Errors: those of the client when something is missing. On channels
 * of its own: an error closes a channel, and a queue that has lost its leader may never answer.
 */
export async function declareTopology(
  connection: Connection,
  settings: AmqpSettings,
): Promise<readonly string[]> {
  const notes: string[] = [];
  const at: { channel: Channel | null } = { channel: null };
  const open = async (): Promise<Channel> => {
    if (at.channel?.active !== true) at.channel = await connection.acquire();
    return at.channel;
  };
  const ensure = async (what: string, declare: Declare): Promise<void> => {
    try {
      await declare(await open(), false);
    } catch (error) {
      if (!isDifferent(error)) throw error;
      notes.push(`${what} is used as it is: ${wordsOf(error)}`);
      await declare(await open(), true);
    }
  };
  try {
    for (const queue of [deadLetterQueue, commandQueue(settings)])
      await ensure(`the queue ${queue.queue}`, (channel, passive) =>
        channel.queueDeclare(passive ? { queue: queue.queue ?? "", passive } : queue),
      );
    for (const exchange of [busNames.events, busNames.commands])
      await ensure(`the exchange ${exchange}`, (channel, passive) =>
        channel.exchangeDeclare({ exchange, type: "topic", durable: true, passive }),
      );
    await ensure(`the binding of ${busNames.commandQueue}`, async (channel, passive) => {
      // Whether a binding is there cannot be asked.
      if (!passive) await channel.queueBind(commandBinding);
    });
  } finally {
    // Its end is not waited for: what hangs, hangs there too.
    void at.channel?.close();
  }
  return notes;
}

type Declare = (channel: Channel, passive: boolean) => Promise<unknown>;

const commandBinding = {
  exchange: busNames.commands,
  queue: busNames.commandQueue,
  routingKey: "#",
};

function isDifferent(error: unknown): boolean {
  return ["PRECONDITION_FAILED", "ACCESS_REFUSED"].includes(codeOf(error));
}

export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The broker, or the way to it, is not well: what was asked may be tried again. */
export function busDown(cause: unknown): GlasshouseError {
  if (cause instanceof GlasshouseError) return cause;
  return new GlasshouseError("unavailable", `The message broker is down: ${wordsOf(cause)}.`, {
    cause,
  });
}
