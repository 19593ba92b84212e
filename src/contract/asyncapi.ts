import { z } from "zod";
import { commandTypes } from "../domain/command.ts";
import { eventTypes } from "../domain/event.ts";
import { isJsonObject, toJson, type Json, type JsonObject } from "../lib/json.ts";
import { busCommand, busEvent, busLimits, busNames, busReply, deadHeaders } from "./bus.ts";
import { commandData } from "./command-data.ts";
import { mediaTypes } from "./rest-route.ts";

/** The AsyncAPI 3 document of the message bus, made from its contract. `version` is the program's. */
export function asyncApiDocument(version: string): JsonObject {
  const schemas: Record<string, Json> = {};
  const document = toJson({
    asyncapi: "3.0.0",
    info: {
      title: "Glasshouse",
      version,
      description:
        "Commands in, answers and events out, over RabbitMQ (AMQP 0-9-1). Every message is a CloudEvent 1.0 in structured mode; its attributes stand in `cloudEvents_` headers too. At least once both ways: (`source`, `id`) makes a command one, `sequence` makes an environment's events one row without gaps.",
      license: { name: "Apache-2.0" },
    },
    defaultContentType: mediaTypes.cloudEvent,
    channels: channels(),
    operations: operations(),
    components: { messages: messages(schemas), schemas },
  });
  if (!isJsonObject(document)) throw new Error("The AsyncAPI document is not an object.");
  return document;
}

const bindingVersion = "0.3.0";

function channels(): object {
  const topic = (name: string): object => ({
    amqp: {
      is: "routingKey",
      exchange: { name, type: "topic", durable: true, autoDelete: false, vhost: "/" },
      bindingVersion,
    },
  });
  return {
    commands: {
      address: busNames.commands,
      title: "Commands",
      description: `Topic exchange; the routing key is the command's type. Behind it stands one quorum queue, ${busNames.commandQueue}, which all replicas share. Publish with confirms and mandatory: a queue that is full refuses (basic.nack).`,
      messages: Object.fromEntries(
        commandTypes.map((type) => [type, { $ref: `#/components/messages/${type}` }]),
      ),
      bindings: topic(busNames.commands),
    },
    events: {
      address: busNames.events,
      title: "Events",
      description:
        "Topic exchange; the routing key is `<type>.<environment>`, such as `environment.ok.shop`, or `<type>.-` for what belongs to no environment. Bind a queue of your own.",
      messages: { event: { $ref: "#/components/messages/event" } },
      bindings: topic(busNames.events),
    },
    replies: {
      address: null,
      title: "Answers",
      description: `The queue that a command's reply_to names; not one whose name begins with ${busNames.prefix}`,
      messages: { reply: { $ref: "#/components/messages/reply" } },
    },
    deadLetters: {
      address: busNames.deadLetters,
      title: "Dead letters",
      description: `Messages that could not be taken, as they came, with the headers ${Object.values(deadHeaders).join(", ")}. At most ${busLimits.deadLetters} are kept, the oldest go first.`,
      messages: { deadLetter: { $ref: "#/components/messages/deadLetter" } },
      bindings: {
        amqp: { is: "queue", queue: { name: busNames.deadLetters, durable: true }, bindingVersion },
      },
    },
  };
}

function operations(): object {
  return {
    takeCommand: {
      action: "receive",
      title: "Take a command",
      summary: "Acknowledged when it is in the inbox, not when its run has ended",
      channel: { $ref: "#/channels/commands" },
      reply: {
        address: {
          location: "$message.header#/replyTo",
          description:
            "Answered at once, and again when the run has ended; with the same correlation_id",
        },
        channel: { $ref: "#/channels/replies" },
      },
    },
    tellEvent: {
      action: "send",
      title: "Tell what happened",
      summary: "Every change, in order and without gaps within an environment",
      channel: { $ref: "#/channels/events" },
    },
    layDown: {
      action: "send",
      title: "Lay a message with the dead letters",
      channel: { $ref: "#/channels/deadLetters" },
    },
  };
}

type Schemas = Record<string, Json>;

function messages(schemas: Schemas): object {
  const of = (schema: z.ZodType): Json => jsonSchemaOf(schema, schemas);
  const commands = commandTypes.map((type) => [
    type,
    {
      name: type,
      title: type,
      contentType: mediaTypes.cloudEvent,
      headers: { $ref: "#/components/schemas/CommandProperties" },
      payload: {
        allOf: [
          of(busCommand),
          {
            type: "object",
            properties: { type: { const: type }, data: of(commandData[type]) },
          },
        ],
      },
    },
  ]);
  schemas["CommandProperties"] = commandProperties;
  return {
    ...Object.fromEntries(commands),
    event: {
      name: "event",
      contentType: mediaTypes.cloudEvent,
      payload: {
        allOf: [of(busEvent), { type: "object", properties: { type: { enum: [...eventTypes] } } }],
      },
    },
    reply: {
      name: "reply",
      contentType: mediaTypes.cloudEvent,
      correlationId: { location: "$message.header#/correlationId" },
      payload: of(busReply),
    },
    deadLetter: { name: "deadLetter", payload: {} },
  };
}

const commandProperties: Json = {
  type: "object",
  description: "Properties of the AMQP message",
  properties: {
    replyTo: { type: "string", maxLength: busLimits.replyToLength },
    correlationId: { type: "string" },
    userId: { type: "string", description: "Vouched for by the broker: recorded as the sender" },
  },
};

/** Schemas with a name go to the components, and are referred to there. */
function jsonSchemaOf(schema: z.ZodType, schemas: Schemas): Json {
  const made = toJson(z.toJSONSchema(schema, { target: "draft-7", io: "input" }));
  if (!isJsonObject(made)) throw new Error("A JSON Schema is an object.");
  const { $schema: _dialect, definitions = {}, ...root } = made;
  if (isJsonObject(definitions))
    for (const [name, definition] of Object.entries(definitions))
      if (!name.startsWith(unnamed)) schemas[name] ??= relocated(definition);
  const name = root["id"];
  const body = relocated(root);
  if (typeof name !== "string") return body;
  schemas[name] ??= body;
  return { $ref: referenceTo(name) };
}

function relocated(value: Json): Json {
  if (Array.isArray(value)) return value.map((item: Json) => relocated(item));
  if (!isJsonObject(value)) return value;
  const members = Object.entries(value).filter(
    ([key, item]) => key !== "id" || typeof item !== "string",
  );
  return Object.fromEntries(
    members.map(([key, item]) => [
      key,
      key === "$ref" && typeof item === "string"
        ? referenceTo(item.replace("#/definitions/", ""))
        : relocated(item),
    ]),
  );
}

/** What zod calls the schema of any JSON value, which has a name of ours too. */
const unnamed = "__schema";

function referenceTo(name: string): string {
  return `#/components/schemas/${name.startsWith(unnamed) ? "Json" : name}`;
}
