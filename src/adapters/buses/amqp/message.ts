import type { AsyncMessage, Envelope, SyncMessage } from "rabbitmq-client";
import { busNames, deadHeaders } from "../../../contract/bus.ts";
import { encodeEvent, encodeReply, type EncodedMessage } from "../../../contract/bus-message.ts";
import { mediaTypes } from "../../../contract/rest-route.ts";
import type { BusMessage, BusNotice } from "../../../ports/bus.ts";
import type { Outbound } from "./publisher.ts";

/** A notice as it goes over the wire. The attributes stand in headers too, so that nobody need parse a body to route it. */
export function outboundOf(notice: BusNotice): Outbound {
  if (notice.kind === "event") {
    const encoded = encodeEvent(notice.event, notice.origin);
    return { envelope: { ...envelopeOf(encoded), exchange: busNames.events }, body: encoded.body };
  }
  const encoded = encodeReply(notice.reply);
  const { correlationId } = notice.reply.to;
  const envelope = {
    ...envelopeOf(encoded),
    exchange: "",
    mandatory: true,
    ...(correlationId === null ? {} : { correlationId }),
  };
  return { envelope, body: encoded.body };
}

function envelopeOf({ routingKey, attributes }: EncodedMessage): Envelope {
  const headers = Object.entries(attributes).map(([name, value]) => [`cloudEvents_${name}`, value]);
  const { traceparent } = attributes;
  return {
    routingKey,
    durable: true,
    contentType: mediaTypes.cloudEvent,
    messageId: attributes.id,
    type: attributes.type,
    appId: "glasshouse",
    timestamp: Math.floor(Date.parse(attributes.time) / 1000),
    headers: {
      ...Object.fromEntries(headers),
      ...(traceparent === undefined ? {} : { traceparent }),
    },
  };
}

/** `user` is the service's own: of what it has laid down itself it knows who had sent it. */
export function incomingOf(message: AsyncMessage | SyncMessage, user: string): BusMessage {
  const { headers, userId, replyTo, correlationId, contentType } = message;
  return {
    body: bytesOf(message.body),
    contentType: contentType ?? null,
    replyTo: replyTo === undefined || replyTo === "" ? null : replyTo,
    correlationId: correlationId ?? null,
    sender: senderOf(userId, headers, user),
    traceparent: textOf(headers?.["traceparent"]) ?? textOf(headers?.["cloudEvents_traceparent"]),
  };
}

/** The broker lets nobody set another user's name. */
function senderOf(userId: string | undefined, headers: Headers, user: string): string | null {
  const own = userId !== undefined && userId === user;
  return (own ? textOf(headers?.[deadHeaders.sender]) : null) ?? userId ?? null;
}

type Headers = AsyncMessage["headers"];

/** The client has parsed bodies of some content types already. */
function bytesOf(body: unknown): Uint8Array {
  if (body instanceof Uint8Array) return body;
  return Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
}

export function textOf(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

export interface Death {
  readonly reason: string;
  readonly detail: string;
  /** RFC 3339. */
  readonly time: string;
}

/** The message for the dead letters: as it came, with why. */
export function deadLetterOf(message: AsyncMessage, death: Death, user: string): Outbound {
  const body = Buffer.from(bytesOf(message.body));
  const headers = {
    ...message.headers,
    [deadHeaders.reason]: death.reason,
    [deadHeaders.detail]: death.detail.slice(0, 1_000),
    [deadHeaders.routingKey]: message.routingKey,
    [deadHeaders.time]: death.time,
    ...senderHeader(message, user),
  };
  const envelope = { ...keptProperties(message), userId: user, headers };
  return { envelope: { ...envelope, routingKey: busNames.deadLetters }, body };
}

/** A dead letter as a command again. */
export function revivedOf(message: SyncMessage, user: string): Outbound {
  const { headers } = message;
  const times = headers?.[deadHeaders.redriven];
  const envelope = {
    ...keptProperties(message),
    userId: user,
    exchange: busNames.commands,
    routingKey: textOf(headers?.[deadHeaders.routingKey]) ?? textOf(message.type) ?? "redriven",
    mandatory: true,
    headers: {
      ...Object.fromEntries(Object.entries(headers ?? {}).filter(([name]) => isKept(name))),
      [deadHeaders.redriven]: (typeof times === "number" ? times : 0) + 1,
      ...senderHeader(message, user),
    },
  };
  return { envelope, body: Buffer.from(bytesOf(message.body)) };
}

const ownHeaders: readonly string[] = Object.values(deadHeaders);

function isKept(name: string): boolean {
  return (
    !ownHeaders.includes(name) &&
    !/^x-(?:death|first-death|last-death|delivery-count|acquired)/u.test(name)
  );
}

function senderHeader(message: AsyncMessage | SyncMessage, user: string): object {
  const sender = senderOf(message.userId, message.headers, user);
  return { [deadHeaders.sender]: sender ?? "" };
}

function keptProperties(message: AsyncMessage | SyncMessage): Envelope {
  const { replyTo, correlationId, contentType, contentEncoding, messageId, type, appId } = message;
  return {
    durable: true,
    ...(replyTo === undefined ? {} : { replyTo }),
    ...(correlationId === undefined ? {} : { correlationId }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(contentEncoding === undefined ? {} : { contentEncoding }),
    ...(messageId === undefined ? {} : { messageId }),
    ...(type === undefined ? {} : { type }),
    ...(appId === undefined ? {} : { appId }),
  };
}
