import { createHash } from "node:crypto";
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
  return {
    routingKey,
    durable: true,
    contentType: mediaTypes.cloudEvent,
    messageId: attributes.id,
    type: attributes.type,
    appId: "glasshouse",
    timestamp: Math.floor(Date.parse(attributes.time) / 1000),
    headers: headersOf(attributes),
  };
}

/** The attributes are few: the name that each has here is put together once. */
const headerNames = new Map<string, string>();

function headersOf(attributes: EncodedMessage["attributes"]): Record<string, unknown> {
  const headers: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(attributes)) headers[headerName(name)] = value;
  if (attributes.traceparent !== undefined) headers["traceparent"] = attributes.traceparent;
  return headers;
}

function headerName(attribute: string): string {
  const known = headerNames.get(attribute);
  if (known !== undefined) return known;
  const made = `cloudEvents_${attribute}`;
  headerNames.set(attribute, made);
  return made;
}

/** The service at the broker: of what it has laid down itself it knows who had sent it. */
export interface Self {
  /** Who it is there now. */
  readonly user: string;
  /** A mark that nobody else can make, the same for the same text on every server. */
  readonly prove: (text: string) => string;
}

export function incomingOf(message: AsyncMessage | SyncMessage, self: Self): BusMessage {
  const { headers, replyTo, correlationId, contentType } = message;
  return {
    body: bytesOf(message.body),
    contentType: contentType ?? null,
    replyTo: replyTo === undefined || replyTo === "" ? null : replyTo,
    correlationId: correlationId ?? null,
    sender: senderOf(message, self),
    traceparent: textOf(headers?.["traceparent"]) ?? textOf(headers?.["cloudEvents_traceparent"]),
  };
}

/**
 * The broker lets nobody set another user's name. What was laid down under a name that the service had before, or has on another
 * server, is known by its proof.
 */
function senderOf(message: AsyncMessage | SyncMessage, self: Self): string | null {
  const { headers, userId } = message;
  const recorded = textOf(headers?.[deadHeaders.sender]);
  if (recorded === null) return userId ?? null;
  const own = userId !== undefined && userId === self.user;
  const proven = headers?.[deadHeaders.proof] === proofOf(message, { sender: recorded, self });
  return own || proven ? recorded : (userId ?? null);
}

/** Of this sender for this body: on another message it is worth nothing. */
function proofOf(
  message: AsyncMessage | SyncMessage,
  { sender, self }: { readonly sender: string; readonly self: Self },
): string {
  const digest = createHash("sha256").update(bytesOf(message.body)).digest("hex");
  return self.prove(`dead letter ${digest} ${sender}`);
}

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
export function deadLetterOf(message: AsyncMessage, death: Death, self: Self): Outbound {
  const body = Buffer.from(bytesOf(message.body));
  const headers = {
    ...message.headers,
    [deadHeaders.reason]: death.reason,
    [deadHeaders.detail]: death.detail.slice(0, 1_000),
    [deadHeaders.routingKey]: message.routingKey,
    [deadHeaders.time]: death.time,
    ...senderHeaders(message, self),
  };
  const envelope = { ...keptProperties(message), userId: self.user, headers };
  return { envelope: { ...envelope, routingKey: busNames.deadLetters }, body };
}

/** A dead letter as a command again. */
export function revivedOf(message: SyncMessage, self: Self): Outbound {
  const { headers } = message;
  const times = headers?.[deadHeaders.redriven];
  const envelope = {
    ...keptProperties(message),
    userId: self.user,
    exchange: busNames.commands,
    routingKey: textOf(headers?.[deadHeaders.routingKey]) ?? textOf(message.type) ?? "redriven",
    mandatory: true,
    headers: {
      ...Object.fromEntries(Object.entries(headers ?? {}).filter(([name]) => isKept(name))),
      [deadHeaders.redriven]: (typeof times === "number" ? times : 0) + 1,
      ...senderHeaders(message, self),
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

function senderHeaders(message: AsyncMessage | SyncMessage, self: Self): object {
  const sender = senderOf(message, self) ?? "";
  return {
    [deadHeaders.sender]: sender,
    ...(sender === "" ? {} : { [deadHeaders.proof]: proofOf(message, { sender, self }) }),
  };
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
