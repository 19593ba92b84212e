import { randomUUID } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import type { Command } from "../../domain/command.ts";
import { GlasshouseError } from "../../domain/errors.ts";
import { commandOf } from "../../contract/command-view.ts";
import type { CommandView } from "../../contract/rest.ts";
import { apiRoot } from "../../contract/rest-route.ts";
import type { CommandRequest } from "../../services/effect.ts";
import type { Api, Call, Handlers } from "./api.ts";
import { parseTrace } from "../../lib/trace-context.ts";
import { traceOf } from "./trace.ts";

/** Until there is authentication, everybody who reaches the server is this one. */
export const actor = "local";
const source = `rest:${actor}`;

export function commandHandlers(api: Api): Pick<Handlers, "sendCommand" | "getCommand"> {
  return {
    sendCommand: async (call) => send(api, call),
    getCommand: async ({ params }) => commandOf(await api.services.getCommand(params.command)),
  };
}

async function send(api: Api, { body, request, reply }: Call<"sendCommand">): Promise<CommandView> {
  const key = keyOf(request);
  if (key !== null && body.id !== undefined && body.id !== key) {
    throw new GlasshouseError(
      "invalid-request",
      "The Idempotency-Key and the id of the command differ; send one of them, or both alike.",
    );
  }
  if (body.source?.startsWith("glasshouse") === true) {
    throw new GlasshouseError(
      "invalid-request",
      "A source that begins with glasshouse belongs to the service itself; name the sender's own.",
      { details: [{ message: "It begins with glasshouse.", pointer: "/source" }] },
    );
  }
  const traceparent = body.traceparent ?? traceOf(request).parent;
  return ask(
    api,
    { request, reply },
    {
      type: body.type,
      subject: body.subject ?? null,
      data: body.data ?? {},
      ...(body.source === undefined ? {} : { source: body.source }),
      ...(body.id === undefined ? {} : { id: body.id }),
      ...(body.actor === undefined ? {} : { actor: body.actor }),
      ...(body.deadline === undefined ? {} : { deadline: body.deadline }),
      ...(body.ifsequence === undefined ? {} : { ifSequence: body.ifsequence }),
      ...(parseTrace(traceparent) === null ? {} : { traceparent }),
      correlationId: body.correlationid ?? null,
    },
  );
}

/** What a handler says of a command; the rest comes from the request. */
export type Asking = Pick<CommandRequest, "type" | "subject" | "data"> & Partial<CommandRequest>;

/** Hands a command in and answers 202 with it. The same key with the same body takes effect once. */
export async function ask(
  api: Api,
  { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
  asking: Asking,
): Promise<CommandView> {
  const command = await api.services.accept({
    source,
    id: keyOf(request) ?? randomUUID(),
    actor,
    traceparent: traceOf(request).parent,
    ...asking,
  });
  commands.set(request, command);
  void reply.header("location", `${apiRoot}/commands/${command.id}`);
  return commandOf(command);
}

/** For the log: what a request led to. */
const commands = new WeakMap<FastifyRequest, Command>();

export function acceptedCommand(request: FastifyRequest): Command | undefined {
  return commands.get(request);
}

const keySchema = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[\u0021-\u007e]+$/u);

function keyOf(request: FastifyRequest): string | null {
  const given = request.headers["idempotency-key"];
  if (given === undefined) return null;
  const key = keySchema.safeParse(given);
  if (key.success) return key.data;
  throw new GlasshouseError(
    "invalid-request",
    "The Idempotency-Key must have 1 to 200 visible ASCII characters without spaces.",
    { details: [{ message: "It has another form.", place: "header:idempotency-key" }] },
  );
}
