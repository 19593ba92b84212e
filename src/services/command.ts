import { parseCommand, type ParsedCommand } from "../contract/commands.ts";
import { laterCommandTypes, type Command } from "../domain/command.ts";
import { failureOf, GlasshouseError, type ErrorCode } from "../domain/errors.ts";
import { commandEventData } from "../domain/event-data.ts";
import type { EventType, NewEvent } from "../domain/event.ts";
import { timestamp } from "../ports/clock.ts";
import type { Page, PageRequest } from "../ports/page.ts";
import type { TakenIn } from "../ports/starter.ts";
import type { Tx } from "../ports/store.ts";
import { bodyHmac, keptData } from "./command-body.ts";
import type { Services } from "./deps.ts";
import { Moved, type CommandRequest, type Effect, type Effected } from "./effect.ts";

export type { CommandRequest } from "./effect.ts";

/**
 * The one way in for every command. Resolves when the command is committed: with its run queued, or done when it needs
 * none. Safe to repeat: the same source and id with the same body gives the same command back, whatever became of it, and
 * a refusal by state the same refusal. Errors: `invalid-request` with pointers into `data`, `command-reused` (same id,
 * another body), `not-available`, `precondition-failed`, `too-many`, and those of each command.
 */
export async function accept(deps: Services, request: CommandRequest): Promise<Command> {
  const parsed = parseCommand(request.type, request.data);
  if (laterCommandTypes.includes(parsed.type)) {
    throw new GlasshouseError("not-available", `${parsed.type} is not available in this version.`);
  }
  const asked: Incoming = {
    request,
    parsed,
    commandId: deps.clock.id("command"),
    hmac: bodyHmac(deps.sealer, request),
  };
  if (isLongPrepared(parsed)) {
    const known = await findCommand(deps, request.source, request.id);
    if (known !== null) return sameAgain(known, asked);
  }
  try {
    refuseLate(deps, request);
    return await takeIn(deps, asked);
  } catch (error) {
    if (!(error instanceof GlasshouseError) || !isRefusal(error)) throw error;
    // What is refused now may have been taken before.
    const known = await findCommand(deps, request.source, request.id);
    if (known !== null) return sameAgain(known, asked);
    if (!isKept(error) || request.keepRefusal === false) throw error;
    return keepRefusal(deps, asked, error);
  }
}

/** Fetches and checks a template: that one is known already is worth a look before. Others are told by their transaction. */
function isLongPrepared({ type }: ParsedCommand): boolean {
  return type === "template.register";
}

export async function getCommand(deps: Pick<Services, "store">, id: string): Promise<Command> {
  const command = await deps.store.read((tx) => tx.commands.get(id));
  if (command !== null) return command;
  throw new GlasshouseError(
    "not-found",
    `There is no command ${id}: check the id; commands are kept 90 days.`,
  );
}

/** By its sender's own words for it; null when it is not in the inbox. */
export async function findCommand(
  deps: Pick<Services, "store">,
  source: string,
  id: string,
): Promise<Command | null> {
  return deps.store.read((tx) => tx.commands.bySource(source, id));
}

/** Newest first. */
export async function listCommands(
  deps: Pick<Services, "store">,
  page: PageRequest,
): Promise<Page<Command>> {
  return deps.store.read((tx) => tx.commands.list(page));
}

interface Incoming {
  readonly request: CommandRequest;
  readonly parsed: ParsedCommand;
  readonly commandId: string;
  readonly hmac: string;
}

/** What is prepared may be overtaken by other commands; more often than this it is not bad luck. */
const mostPreparations = 8;

/** Loaded by the first command: checking templates and making plans is most of the program's code. Asking again costs. */
let preparing: Promise<typeof import("./prepare.ts")> | null = null;

async function takeIn(deps: Services, asked: Incoming): Promise<Command> {
  for (let preparations = 1; ; preparations += 1) {
    const { prepare } = await (preparing ??= import("./prepare.ts"));
    const effect = await prepare(deps, asked);
    let isAgain = false;
    const write = (tx: Tx): Promise<TakenIn<Command>> => {
      const trial = { ...asked, effect, isAgain };
      isAgain = true;
      return commit(tx, deps, trial);
    };
    try {
      // Many come at once, from a bus or from many clients.
      return await deps.starts.takeIn(write);
    } catch (error) {
      if (error instanceof GlasshouseError) await effect.explain?.(error);
      if (!(error instanceof Moved)) throw error;
      if (preparations < mostPreparations) continue;
      throw new GlasshouseError(
        "unavailable",
        `${asked.parsed.type} was overtaken by other commands ${preparations} times; send it again.`,
      );
    }
  }
}

interface Trial extends Incoming {
  readonly effect: Effect;
  /** It has been tried before, and something was not as it was taken to be. */
  readonly isAgain: boolean;
}

async function commit(tx: Tx, deps: Services, asked: Trial): Promise<TakenIn<Command>> {
  const { request, effect, isAgain } = asked;
  const now = timestamp(deps.clock);
  // Hardly ever is a command known that makes something new. The inbox takes it once in any case, and then all of this runs again.
  if (isAgain || effect.holds === undefined) {
    const known = await tx.commands.bySource(request.source, request.id);
    if (known !== null) return { value: sameAgain(known, asked), first: null, events: [], at: now };
  }
  if (effect.holds !== undefined) await tx.sure(effect.holds(tx));
  const effected = await effect(tx, now);
  const command = commandRow(asked, effected, now);
  await tx.commands.insert(command);
  const subject = await subjectOf(tx, effected, command);
  const about = { environmentId: command.environmentId, subject, commandId: command.id };
  const accepted: NewEvent = {
    ...about,
    type: "command.accepted",
    data: commandEventData({ ...command, status: "accepted", finishedAt: null }),
  };
  const caused = effected.events.map((event) => ({ ...event, commandId: command.id }));
  const completed: NewEvent = {
    ...about,
    type: "command.completed",
    data: commandEventData(command),
  };
  const events = [accepted, ...caused, ...(effected.status === "completed" ? [completed] : [])];
  await audit(tx, deps, { command, subject, now });
  const { traceparent } = command;
  const first = effected.first === undefined ? null : { ...effected.first, traceparent };
  return { value: command, first, events, at: now };
}

async function subjectOf(tx: Tx, effected: Effected, command: Command): Promise<string> {
  const { environmentId } = command;
  const [first] = effected.events;
  if (environmentId === null) return first?.subject ?? `commands/${command.id}`;
  const own = effected.events.find((event) => event.environmentId === environmentId);
  if (own !== undefined) return own.subject;
  const environment = await tx.environments.get(environmentId);
  if (environment !== null) return `environments/${environment.name}`;
  return first?.subject ?? `commands/${command.id}`;
}

function commandRow(asked: Incoming, effected: Effected, now: string): Command {
  const { request } = asked;
  return {
    id: asked.commandId,
    source: request.source,
    sourceId: request.id,
    type: asked.parsed.type,
    subject: request.subject,
    bodyHmac: asked.hmac,
    data: effected.data,
    status: effected.status,
    failure: null,
    environmentId: effected.environmentId ?? null,
    templateId: effected.templateId ?? null,
    runId: effected.runId ?? null,
    planId: effected.planId ?? null,
    actor: request.actor,
    correlationId: request.correlationId ?? null,
    traceparent: request.traceparent ?? null,
    sender: request.sender ?? null,
    reply: request.reply ?? null,
    createdAt: now,
    finishedAt: effected.status === "completed" ? now : null,
  };
}

async function audit(
  tx: Tx,
  deps: Services,
  of: { readonly command: Command; readonly subject: string; readonly now: string },
): Promise<void> {
  const { command, subject, now } = of;
  await tx.audits.append({
    id: deps.clock.id("event"),
    time: now,
    actor: command.actor,
    action: command.type,
    subject,
    commandId: command.id,
    detail: {
      status: command.status,
      ...(command.failure === null ? {} : { code: command.failure.code }),
      ...(command.runId === null ? {} : { run: command.runId }),
      ...(command.sender === null ? {} : { sender: command.sender }),
    },
  });
}

/** The same command again: what it became. Another body under its id: refused. A refused one: refused in the same words. */
function sameAgain(known: Command, asked: Incoming): Command {
  if (known.bodyHmac !== asked.hmac) {
    throw new GlasshouseError(
      "command-reused",
      `The command id ${known.sourceId} of ${known.source} was used for another ${known.type} on ${known.createdAt}: use a new id for a new command.`,
    );
  }
  if (known.status !== "refused" || known.failure === null) return known;
  const { code, message, details } = known.failure;
  throw new GlasshouseError(code, message, details === undefined ? {} : { details });
}

function refuseLate(deps: Services, { deadline, type }: CommandRequest): void {
  if (deadline === null || deadline === undefined) return;
  const at = Date.parse(deadline);
  if (Number.isNaN(at)) {
    throw new GlasshouseError(
      "invalid-request",
      `The deadline "${deadline}" of ${type} is no RFC 3339 time.`,
    );
  }
  if (at >= deps.clock.now()) return;
  throw new GlasshouseError(
    "conflict",
    `${type} came after its deadline ${deadline}: send it again with a later one if it is still wanted.`,
  );
}

/** A word about the command, and not about the store or the way to it. */
function isRefusal({ row, code }: GlasshouseError): boolean {
  return row.kind === "terminal" || code === "too-many";
}

/** Refusals by the present state; the others (form, limits, things that are down) may be asked again with the same id. */
const keptCodes: readonly ErrorCode[] = [
  "invalid-parameters",
  "not-found",
  "conflict",
  "already-exists",
  "in-use",
  "requirement-cycle",
  "plan-stale",
  "plan-expired",
  "precondition-failed",
];

/**
 * Whether a refusal is in the inbox and the journal: the same command gets it again. Any other one is known only to whoever
 * was answered.
 */
export function isKept(error: unknown): error is GlasshouseError {
  return error instanceof GlasshouseError && keptCodes.includes(error.code);
}

/** Remembers the refusal, then refuses. When the same command was accepted meanwhile, that one counts. */
async function keepRefusal(
  deps: Services,
  asked: Incoming,
  error: GlasshouseError,
): Promise<Command> {
  const { request } = asked;
  const known = await deps.store.transact(async (tx) => {
    const earlier = await tx.commands.bySource(request.source, request.id);
    if (earlier !== null) return earlier;
    const now = timestamp(deps.clock);
    const data = keptData(asked.parsed.data);
    const row = commandRow(asked, { status: "completed", data, events: [] }, now);
    const environment =
      request.subject === null || !request.type.startsWith("environment.")
        ? null
        : await tx.environments.find(request.subject);
    const command: Command = {
      ...row,
      status: "refused",
      failure: failureOf(error),
      environmentId: environment?.id ?? null,
    };
    await tx.commands.insert(command);
    const type: EventType = "command.refused";
    const subject =
      environment === null ? `commands/${command.id}` : `environments/${environment.name}`;
    const about = { environmentId: command.environmentId, subject, commandId: command.id };
    await tx.events.append([{ ...about, type, data: commandEventData(command) }], now);
    await audit(tx, deps, { command, subject, now });
    return command;
  });
  return sameAgain(known, asked);
}
