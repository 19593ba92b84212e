import { busCommand, busLimits, type BusCommand } from "../../contract/bus.ts";
import { mayReplyTo } from "../../contract/bus-message.ts";
import { issueDetails } from "../../contract/issues.ts";
import { parseJsonBody } from "../../contract/json-body.ts";
import { mediaTypes } from "../../contract/rest-route.ts";
import type { Command, RefusedMessage, ReplyAddress } from "../../domain/command.ts";
import { asGlasshouseError, failureOf, GlasshouseError, StoreFault } from "../../domain/errors.ts";
import { parseTrace } from "../../lib/trace-context.ts";
import type { BusMessage, Parked, Reply, Verdict } from "../../ports/bus.ts";
import { timestamp, type Clock } from "../../ports/clock.ts";
import type { Log } from "../../ports/telemetry.ts";
import { isKept } from "../../services/command.ts";
import type { CommandRequest } from "../../services/effect.ts";

export interface BusApi {
  /** Resolves when the command is committed. Safe to repeat with the same source and id. */
  readonly accept: (request: CommandRequest) => Promise<Command>;
  /** The command of a source and its id, if there is one. */
  readonly find: (source: string, id: string) => Promise<Command | null>;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Takes one message of the bus: it becomes a command in the inbox and is answered, or is refused with the reason. What it
 * needs being down is no refusal: it is asked again. Never rejects. Safe to repeat.
 */
export async function takeMessage(api: BusApi, message: BusMessage): Promise<Verdict> {
  const seen: { command: BusCommand | null } = { command: null };
  try {
    const { to, command } = read(message);
    seen.command = command;
    const accepted = await api.accept(requestOf(command, message, to));
    return { outcome: "taken", reply: replyTo(api, to, accepted) };
  } catch (error) {
    return refuse(api, { error, message, command: seen.command });
  }
}

/** A fault in the message itself, known by a word of its own among the dead letters. */
class Poison extends Error {
  readonly reason: string;
  readonly failure: GlasshouseError;

  constructor(reason: string, failure: GlasshouseError) {
    super(failure.message);
    this.reason = reason;
    this.failure = failure;
  }
}

function read(message: BusMessage): {
  readonly command: BusCommand;
  readonly to: ReplyAddress | null;
} {
  const { body, replyTo: queue, correlationId } = message;
  if (body.length > busLimits.messageBytes) {
    const words = `The message has ${body.length} bytes; at most ${busLimits.messageBytes} are taken.`;
    throw new Poison("too-large", new GlasshouseError("too-large", words));
  }
  const json = parseBody(message);
  const parsed = busCommand.safeParse(json);
  if (!parsed.success) throw notACommand(parsed.error);
  const command = parsed.data;
  if (command.source.startsWith("glasshouse")) {
    const words =
      "A source that begins with glasshouse belongs to the service itself; name the sender's own.";
    throw new Poison("foreign-source", new GlasshouseError("invalid-request", words));
  }
  if (queue !== null && !mayReplyTo(queue)) {
    const words = `reply_to names "${queue.slice(0, 100)}", which belongs to the service itself; name a queue of the sender's own.`;
    throw new Poison("foreign-reply-to", new GlasshouseError("invalid-request", words));
  }
  return { command, to: queue === null ? null : { queue, correlationId } };
}

const types: readonly (string | null)[] = [null, mediaTypes.cloudEvent, mediaTypes.json];

function parseBody({ body, contentType }: BusMessage): unknown {
  if (!types.includes(contentType?.split(";")[0]?.trim().toLowerCase() ?? null)) {
    const words = `The content type ${contentType} is not taken; send ${mediaTypes.cloudEvent}.`;
    throw new Poison("not-a-command", new GlasshouseError("unsupported-media-type", words));
  }
  try {
    return parseJsonBody(body);
  } catch (error) {
    throw new Poison("not-json", asGlasshouseError(error));
  }
}

function notACommand(error: Parameters<typeof failureFrom>[0]): Poison {
  return new Poison("not-a-command", failureFrom(error));
}

function failureFrom({ issues }: { readonly issues: Parameters<typeof issueDetails>[0] }) {
  const details = issueDetails(issues);
  const first = details[0]?.message ?? "it has another form";
  const words = `The message is no command in the form of a CloudEvent 1.0: ${first}`;
  return new GlasshouseError("invalid-request", words, { details });
}

function requestOf(
  command: BusCommand,
  message: BusMessage,
  to: ReplyAddress | null,
): CommandRequest {
  const traceparent = command.traceparent ?? message.traceparent;
  return {
    source: command.source,
    id: command.id,
    type: command.type,
    subject: command.subject ?? null,
    data: command.data ?? {},
    actor: command.actor ?? message.sender ?? "bus",
    sender: message.sender,
    reply: to,
    ...(parseTrace(traceparent) === null ? {} : { traceparent }),
    correlationId: command.correlationid ?? message.correlationId?.slice(0, 200) ?? null,
    ...(command.deadline === undefined ? {} : { deadline: command.deadline }),
    ...(command.ifsequence === undefined ? {} : { ifSequence: command.ifsequence }),
  };
}

interface Refusal {
  readonly error: unknown;
  readonly message: BusMessage;
  readonly command: BusCommand | null;
}

async function refuse(api: BusApi, refusal: Refusal): Promise<Verdict> {
  const { error, message, command } = refusal;
  const failure = error instanceof Poison ? error.failure : asGlasshouseError(error);
  if (failure.code === "internal")
    api.log.error("A command of the bus failed for a fault of the service", { error: failure });
  const queue = message.replyTo;
  const to =
    queue !== null && mayReplyTo(queue) ? { queue, correlationId: message.correlationId } : null;
  if (command !== null && isKept(failure)) {
    const kept = await findKept(api, command);
    return { outcome: "taken", reply: replyTo(api, to, kept ?? refusedOf(command, failure)) };
  }
  const parked: Parked = {
    outcome: "parked",
    reason: error instanceof Poison ? error.reason : failure.code,
    detail: failure.message,
    reply: replyTo(api, to, refusedOf(command, failure)),
  };
  // A store that cannot be used is everybody's affair; a repository that is down, say, is this command's own.
  if (failure instanceof StoreFault || failure.code === "storage-full")
    return { outcome: "again", error: failure, otherwise: null };
  // A limit is no outage: waiting here for one environment's queue would hold up everybody else's commands.
  if (failure.row.kind === "terminal" || failure.code === "too-many") return parked;
  return { outcome: "again", error: failure, otherwise: parked };
}

/** The refusal as the inbox has it; without it the answer has no id, and says the same. */
async function findKept(api: BusApi, { source, id }: BusCommand): Promise<Command | null> {
  return api.find(source, id).catch(() => null);
}

function replyTo(api: BusApi, to: ReplyAddress | null, about: Reply["about"]): Reply | null {
  return to === null ? null : { to, about, time: timestamp(api.clock) };
}

function refusedOf(command: BusCommand | null, failure: GlasshouseError): RefusedMessage {
  return {
    status: "refused",
    source: command?.source ?? null,
    sourceId: command?.id ?? null,
    type: command?.type ?? null,
    subject: command?.subject ?? null,
    failure: failureOf(failure),
  };
}
