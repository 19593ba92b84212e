import { z } from "zod";
import { commandTypes } from "../domain/command.ts";
import {
  apiRoot,
  commandHeaders,
  readHeaders,
  segment,
  type Reply,
  type Route,
} from "./rest-route.ts";
import {
  commandId,
  environmentId,
  failureView,
  jsonValue,
  planId,
  runId,
  templateId,
  time,
} from "./schemas.ts";

export const commandView = z
  .object({
    id: commandId,
    source: z.string(),
    sourceId: z.string().meta({ description: "The id that its sender gave it" }),
    type: z.string().meta({ examples: ["environment.create"] }),
    subject: z.string().nullable(),
    status: z.enum(["accepted", "refused", "completed", "failed", "superseded", "cancelled"]),
    environment: environmentId.nullable(),
    template: templateId.nullable(),
    run: runId.nullable(),
    plan: planId.nullable(),
    error: failureView.nullable(),
    actor: z.string().meta({ description: "Who it is for, as its sender claims" }),
    sender: z
      .string()
      .nullable()
      .meta({ description: "Who sent it, as the message broker vouches for it" }),
    correlationId: z.string().nullable(),
    createdAt: time,
    finishedAt: time.nullable(),
  })
  .meta({ id: "Command", description: "A message that asks for something" });

export const acceptedReply = {
  description: "Accepted: it is stored and will be worked off, or is done already",
  schema: commandView,
  headers: z.object({ location: z.string().meta({ description: "Where to read the command" }) }),
} as const satisfies Reply;

const senderId = z.string().min(1).max(200);

/** A CloudEvent 1.0 in structured mode, or only what it needs: `type`, `subject`, `data`. */
export const commandBody = z
  .strictObject({
    specversion: z.literal("1.0").optional(),
    type: z.enum(commandTypes, { error: "must be a type of command" }),
    subject: z
      .string()
      .min(1)
      .max(300)
      .optional()
      .meta({ description: "Environment, template or run: name or id" }),
    data: z.record(z.string(), jsonValue).optional(),
    id: senderId
      .optional()
      .meta({ description: "With `source`, the idempotency key; else the header is" }),
    source: z.string().min(1).max(300).optional(),
    time: time.optional(),
    datacontenttype: z.literal("application/json").optional(),
    dataschema: z.string().max(2_000).optional(),
    traceparent: z.string().max(100).optional(),
    tracestate: z.string().max(512).optional(),
    actor: z.string().min(1).max(200).optional().meta({ description: "Recorded as a claim" }),
    deadline: time.optional().meta({ description: "Refused when it comes later than this" }),
    correlationid: z.string().min(1).max(200).optional(),
    ifsequence: z.int().min(0).optional().meta({ description: "As If-Match" }),
  })
  .meta({ id: "CommandRequest" });

export const commandRoutes = [
  {
    id: "sendCommand",
    method: "POST",
    path: `${apiRoot}/commands`,
    tag: "commands",
    summary: "Send any command",
    description:
      "A CloudEvent in structured mode, or its `type`, `subject` and `data`. The same inbox as that of the message bus.",
    headers: commandHeaders,
    body: { schema: commandBody },
    replies: { 202: acceptedReply },
    errors: [
      "not-found",
      "conflict",
      "command-reused",
      "plan-stale",
      "precondition-failed",
      "not-available",
    ],
  },
  {
    id: "getCommand",
    method: "GET",
    path: `${apiRoot}/commands/{command}`,
    tag: "commands",
    summary: "Read a command",
    params: z.object({ command: segment("Id of the command") }),
    headers: readHeaders,
    replies: { 200: { description: "The command", schema: commandView } },
    errors: ["not-found"],
  },
] as const satisfies readonly Route[];
