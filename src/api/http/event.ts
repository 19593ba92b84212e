import { GlasshouseError } from "../../domain/errors.ts";
import type { EventView, ListOf } from "../../contract/rest.ts";
import { mediaTypes } from "../../contract/rest-route.ts";
import type { FastifyReply } from "fastify";
import type { Api, Call, Handlers } from "./api.ts";
import { eventOf } from "../../contract/event-view.ts";
import { fits, liveLimits, type LiveFilter } from "./live-events.ts";

type Events = Call<"listEvents"> | Call<"listEnvironmentEvents">;

export function eventHandlers(api: Api): Pick<Handlers, "listEvents" | "listEnvironmentEvents"> {
  return {
    listEvents: async (call) => answer(api, call, {}),
    listEnvironmentEvents: async (call) => {
      const { environment } = await api.services.getEnvironment(call.params.environment);
      return answer(api, call, { environmentId: environment.id });
    },
  };
}

async function answer(
  api: Api,
  call: Events,
  of: LiveFilter,
): Promise<FastifyReply | ListOf<EventView>> {
  const { subject, run } = call.query;
  const filter = {
    ...of,
    ...(subject === undefined ? {} : { subject }),
    ...(run === undefined ? {} : { runId: run }),
  };
  if (call.request.headers.accept?.includes(mediaTypes.events) !== true)
    return list(api, call, filter);
  return stream(api, call, filter);
}

/** Pages that are looked through for one answer when events of one subject are wanted. */
const mostPages = 20;

async function list(api: Api, { query }: Events, filter: LiveFilter): Promise<ListOf<EventView>> {
  let position =
    query.cursor === undefined ? (query.after ?? 0) : positionIn(query.cursor, "cursor");
  const items: EventView[] = [];
  const { environmentId, runId } = filter;
  for (let page = 0; page < mostPages; page += 1) {
    const limit = filter.subject === undefined ? query.limit : liveLimits.pageSize;
    const events = await api.services.listEvents(position, {
      ...(environmentId === undefined ? {} : { environmentId }),
      ...(runId === undefined ? {} : { runId }),
      limit,
    });
    for (const event of events) {
      if (items.length === query.limit) return { items, next: String(position) };
      position = event.position;
      if (fits(event, filter)) items.push(eventOf(event));
    }
    if (events.length < limit) return { items, next: null };
    if (items.length === query.limit) break;
  }
  return { items, next: String(position) };
}

async function stream(api: Api, call: Events, filter: LiveFilter): Promise<FastifyReply> {
  const { query, request, reply } = call;
  const last = request.headers["last-event-id"];
  const after =
    typeof last === "string" && last !== ""
      ? positionIn(last, "last-event-id")
      : (query.after ?? null);
  api.live.admit();
  void reply
    .type(mediaTypes.events)
    .headers({ "cache-control": "no-store", "x-accel-buffering": "no" });
  if (request.method === "HEAD") return reply.send("");
  reply.hijack();
  const headers = Object.entries(reply.getHeaders()).map(([name, value]) => [name, String(value)]);
  reply.raw.writeHead(200, Object.fromEntries(headers));
  reply.raw.flushHeaders();
  await api.live.follow(reply.raw, filter, after);
  return reply;
}

function positionIn(text: string, what: string): number {
  if (/^\d{1,15}$/u.test(text)) return Number(text);
  throw new GlasshouseError(
    "invalid-request",
    `The ${what} "${text.slice(0, 50)}" is no position of the journal; send the last id that you have.`,
  );
}
