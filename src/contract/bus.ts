import { z } from "zod";
import { eventView } from "./rest-event.ts";
import { commandView } from "./rest-command.ts";
import { failureView, jsonValue, time } from "./schemas.ts";

/** The message bus: its names, limits and messages. The one source of the broker's topology and of the AsyncAPI document. */
export const busNames = {
  /** Topic exchange; the routing key is the command's type. */
  commands: "glasshouse.commands",
  /** The queue behind it, which all replicas share. */
  commandQueue: "glasshouse.commands",
  /** Topic exchange; the routing key is `<type>.<environment>`. */
  events: "glasshouse.events",
  deadLetters: "glasshouse.commands.dead",
  /** What queues of this service begin with: no answer is sent to one. */
  prefix: "glasshouse.",
} as const;

export const busLimits = {
  /** Of a message's body, in and out. */
  messageBytes: 256 * 1024,
  /** Dead letters that are kept: the oldest go first. */
  deadLetters: 100_000,
  replyToLength: 255,
} as const;

/** Headers of a dead letter. */
export const deadHeaders = {
  reason: "glasshouse-reason",
  detail: "glasshouse-detail",
  routingKey: "glasshouse-routing-key",
  sender: "glasshouse-sender",
  proof: "glasshouse-proof",
  time: "glasshouse-time",
  redriven: "glasshouse-redriven",
} as const;

const short = (most: number): z.ZodString => z.string().min(1).max(most);

/** A command as it comes: a CloudEvent 1.0 in structured mode. Extension attributes that are not named are ignored. */
export const busCommand = z
  .looseObject({
    specversion: z.literal("1.0", { error: 'must be "1.0"' }),
    id: short(200).meta({ description: "With `source`, the idempotency key" }),
    source: short(300).meta({
      description: "Who sends it, as a URI; not beginning with glasshouse",
      examples: ["https://ci.example.com/deploy"],
    }),
    type: short(100).meta({ description: "Type of the command: also the routing key" }),
    subject: short(300)
      .optional()
      .meta({ description: "Environment, template or run: name or id", examples: ["shop"] }),
    time: time.optional(),
    datacontenttype: z.literal("application/json").optional(),
    data: z.record(z.string(), jsonValue).optional(),
    traceparent: z.string().optional().meta({ description: "W3C trace context" }),
    actor: short(200).optional().meta({ description: "Recorded as a claim" }),
    deadline: time.optional().meta({ description: "Refused when it is taken later than this" }),
    correlationid: short(200).optional(),
    ifsequence: z
      .int()
      .min(0)
      .optional()
      .meta({ description: "The environment's sequence that was read; refused when it has moved" }),
  })
  .meta({ id: "BusCommand", description: "Asks for something" });

export type BusCommand = z.output<typeof busCommand>;

export const busEvent = eventView
  .extend({
    traceparent: z.string().optional(),
    correlationid: z.string().optional(),
  })
  .meta({ id: "BusEvent", description: "A fact of the journal, as a CloudEvent 1.0" });

const refusedView = z
  .object({
    id: z.null(),
    source: z.string().nullable(),
    sourceId: z.string().nullable(),
    type: z.string().nullable(),
    subject: z.string().nullable(),
    status: z.literal("refused"),
    error: failureView,
  })
  .meta({ id: "RefusedMessage", description: "A message that did not become a command" });

export const replyTypes = [
  "command.accepted",
  "command.refused",
  "command.completed",
  "command.failed",
] as const;

export const busReply = z
  .object({
    specversion: z.literal("1.0"),
    id: z.string().meta({ description: "The same when the same reply is sent again" }),
    source: z.string(),
    type: z.enum(replyTypes),
    subject: z.string(),
    time,
    datacontenttype: z.literal("application/json"),
    data: z.union([commandView, refusedView]),
    traceparent: z.string().optional(),
    correlationid: z.string().optional(),
  })
  .meta({ id: "BusReply", description: "What became of a command" });
