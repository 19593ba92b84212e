import type { Connection } from "rabbitmq-client";
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
 * by this user, is used as it is; the returned words say so. Errors: those of the client when something is missing.
 */
export async function declareTopology(
  connection: Connection,
  settings: AmqpSettings,
): Promise<readonly string[]> {
  const notes: string[] = [];
  const ensure = async (what: string, declare: (passive: boolean) => Promise<unknown>) => {
    try {
      await declare(false);
    } catch (error) {
      if (!isDifferent(error)) throw error;
      await declare(true);
      notes.push(`${what} is used as it is: ${wordsOf(error)}`);
    }
  };
  for (const exchange of [busNames.commands, busNames.events]) {
    await ensure(`the exchange ${exchange}`, (passive) =>
      connection.exchangeDeclare({ exchange, type: "topic", durable: true, passive }),
    );
  }
  for (const queue of [deadLetterQueue, commandQueue(settings)]) {
    await ensure(`the queue ${queue.queue}`, (passive) =>
      connection.queueDeclare(passive ? { queue: queue.queue ?? "", passive } : queue),
    );
  }
  const binding = { exchange: busNames.commands, queue: busNames.commandQueue, routingKey: "#" };
  await connection.queueBind(binding).catch((error: unknown) => {
    if (!isDifferent(error)) throw error;
    notes.push(`the binding of ${binding.queue} is not looked at: ${wordsOf(error)}`);
  });
  return notes;
}

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
