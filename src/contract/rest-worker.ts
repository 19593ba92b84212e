import { z } from "zod";
import { apiRoot, readHeaders, type Route } from "./rest-route.ts";
import { listOf, time } from "./schemas.ts";

export const workerView = z
  .object({
    id: z.string().meta({ examples: ["wrk_01kdmnp3x0c2vq8t5w7y9z0a1b"] }),
    host: z.string(),
    pid: z.int(),
    version: z.string(),
    labels: z.array(z.string()).meta({ examples: [["eu", "gpu"]] }),
    status: z.enum(["working", "draining", "gone"]).meta({
      description: "draining: it takes nothing new; gone: it left steps that nobody has taken yet",
    }),
    lapsed: z
      .boolean()
      .meta({ description: "Its lease has ended: it is dead, or cannot reach the store" }),
    leaseEndsAt: time.nullable().meta({ description: "Null where holding the store is the lease" }),
    running: z.int().meta({ description: "Steps that it works on" }),
    startedAt: time,
  })
  .meta({ id: "Worker", description: "A process that works on steps" });

export const workerRoutes = [
  {
    id: "listWorkers",
    method: "GET",
    path: `${apiRoot}/workers`,
    tag: "service",
    summary: "List the workers, with what they offer and do",
    headers: readHeaders,
    replies: { 200: { description: "All of them", schema: listOf(workerView) } },
  },
] as const satisfies readonly Route[];
