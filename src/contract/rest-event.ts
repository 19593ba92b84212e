import { z } from "zod";
import { apiRoot, mediaTypes, pageQuery, segment, type Route } from "./rest-route.ts";
import { jsonValue, listOf } from "./schemas.ts";

export const eventView = z
  .object({
    specversion: z.literal("1.0"),
    id: z.string(),
    source: z.string(),
    type: z.string().meta({ examples: ["environment.ok"] }),
    subject: z.string().meta({ examples: ["environments/shop"] }),
    time: z.iso.datetime(),
    datacontenttype: z.literal("application/json"),
    data: jsonValue.meta({ description: "The entity's own fields after the change" }),
    position: z.int().meta({ description: "Place in the whole journal: the `id:` of the stream" }),
    sequence: z.int().meta({ description: "Gap-free within its environment; 0 for none" }),
    environmentid: z.string().optional(),
    commandid: z.string().optional(),
    runid: z.string().optional(),
    stepid: z.string().optional(),
  })
  .meta({ id: "Event", description: "A fact of the journal, as a CloudEvent 1.0" });

export const eventsQuery = pageQuery.extend({
  after: z.coerce.number().int().min(0).optional().meta({
    description: "Events after this position; a stream without it begins with what is new",
  }),
  subject: z
    .string()
    .max(300)
    .optional()
    .meta({ description: "Only this subject", examples: ["environments/shop"] }),
  run: z.string().max(100).optional().meta({ description: "Only events of this run" }),
});

const headers = z.object({
  "last-event-id": z
    .string()
    .max(20)
    .optional()
    .meta({ description: "The last `id:` you have; goes before `after`" }),
});

const about = {
  method: "GET",
  tag: "events",
  query: eventsQuery,
  headers,
  replies: {
    200: {
      description: "A page, or with `Accept: text/event-stream` the stream",
      schema: listOf(eventView),
      types: [mediaTypes.json, mediaTypes.events],
    },
  },
} as const;

export const eventRoutes = [
  {
    ...about,
    id: "listEvents",
    path: `${apiRoot}/events`,
    summary: "The journal, as a list or live",
    description:
      "Live: `id:` is the position, `event:` the type, `data:` the CloudEvent; a comment every 15 s.",
  },
  {
    ...about,
    id: "listEnvironmentEvents",
    path: `${apiRoot}/environments/{environment}/events`,
    summary: "Events of one environment, as a list or live",
    params: z.object({ environment: segment("Id or name of the environment") }),
    errors: ["not-found"],
  },
] as const satisfies readonly Route[];
