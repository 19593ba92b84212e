import type { Command, RefusedMessage, ReplyAddress } from "../domain/command.ts";
import type { Failure } from "../domain/errors.ts";
import type { JournalEvent } from "../domain/event.ts";
import { isJsonObject, type Json } from "../lib/json.ts";
import type { z } from "zod";
import { busLimits, busNames, type busEvent, type busReply, type replyTypes } from "./bus.ts";
import { commandOf } from "./command-view.ts";
import { eventOf } from "./event-view.ts";
import { apiRoot } from "./rest-route.ts";

/** A message in the form that every bus gives it. */
export interface EncodedMessage {
  readonly routingKey: string;
  readonly attributes: Omit<BusEvent | BusReply, "data">;
  /** The whole CloudEvent as JSON, no larger than the limit. */
  readonly body: Buffer;
}

type BusEvent = z.output<typeof busEvent>;
type BusReply = z.output<typeof busReply>;

interface Origin {
  readonly traceparent: string | null;
  readonly correlationId: string | null;
}

/** Data that would make the message too large is replaced by its small members and where it is to be read. */
export function encodeEvent(event: JournalEvent, origin: Origin | null): EncodedMessage {
  const { data, ...attributes } = { ...eventOf(event), ...extensions(origin) };
  const routingKey = `${event.type}.${environmentOf(event)}`;
  const body = bodyOf({ ...attributes, data });
  if (body.length <= busLimits.messageBytes) return { routingKey, attributes, body };
  const dataref = `${apiRoot}/events?after=${event.position - 1}&limit=1`;
  return { routingKey, attributes, body: bodyOf({ ...attributes, data: smallOf(data, dataref) }) };
}

/** The word after the type in an event's routing key: the environment's name, or `-`, which no environment is called. */
function environmentOf({ environmentId, subject }: JournalEvent): string {
  return environmentId === null ? "-" : subject.replace(/^environments\//u, "");
}

/** Details that would make it too large are left out. */
export function encodeReply(reply: {
  readonly to: ReplyAddress;
  readonly about: Command | RefusedMessage;
  readonly time: string;
}): EncodedMessage {
  const { about, to } = reply;
  const isCommand = "id" in about;
  const attributes = {
    specversion: "1.0",
    id: isCommand
      ? `${about.id}:${about.status}`
      : `${about.source ?? ""}:${about.sourceId ?? ""}:refused`,
    source: `${apiRoot}/commands`,
    type: typeOf(about.status),
    subject: isCommand ? `commands/${about.id}` : (about.sourceId ?? "-"),
    time: reply.time,
    datacontenttype: "application/json",
    ...extensions(isCommand ? about : null),
  } as const;
  const body = bodyOf({ ...attributes, data: dataOf(about) });
  if (body.length <= busLimits.messageBytes) return { routingKey: to.queue, attributes, body };
  const failure = shortened(about.failure);
  const short = bodyOf({
    ...attributes,
    data: dataOf(
      isCommand ? { ...about, failure } : { ...about, failure: failure ?? about.failure },
    ),
  });
  return { routingKey: to.queue, attributes, body: short };
}

function shortened(failure: Failure | null): Failure | null {
  return failure === null ? null : { code: failure.code, message: failure.message };
}

function dataOf(about: Command | RefusedMessage): object {
  if ("id" in about) return commandOf(about);
  const { failure, ...refused } = about;
  return { id: null, ...refused, error: failure };
}

/** A command that was superseded or cancelled has not done what it was for. */
function typeOf(status: Command["status"]): (typeof replyTypes)[number] {
  const ended = status === "superseded" || status === "cancelled";
  return `command.${ended ? "failed" : status}`;
}

function extensions(origin: Origin | null): object {
  return {
    ...(origin?.traceparent == null ? {} : { traceparent: origin.traceparent }),
    ...(origin?.correlationId == null ? {} : { correlationid: origin.correlationId }),
  };
}

function bodyOf(message: object): Buffer {
  return Buffer.from(JSON.stringify(message));
}

/** Texts, numbers and the like that are short: what tells the thing and its state. */
function smallOf(data: Json, dataref: string): Json {
  if (!isJsonObject(data)) return { dataref };
  const small = Object.entries(data).filter(([, value]) =>
    typeof value === "string" ? value.length <= 1_000 : typeof value !== "object" || value === null,
  );
  return { ...Object.fromEntries(small.slice(0, 100)), dataref };
}

/** Whether an answer may be sent there: a queue of somebody else. */
export function mayReplyTo(queue: string): boolean {
  return (
    queue !== "" &&
    Buffer.byteLength(queue) <= busLimits.replyToLength &&
    !queue.startsWith(busNames.prefix)
  );
}
