import { z } from "zod";
import { apiRoot, readHeaders, segment, type Route } from "./rest-route.ts";
import { changeView, environmentId, planId, runId, templateUse, time } from "./schemas.ts";

const mark = z.enum(["exact", "deferred", "unchanged", "destroy"]);

export const planSummaryView = z
  .object({
    id: planId,
    environment: environmentId,
    environmentName: z.string(),
    run: runId,
    kind: z.string().meta({ examples: ["update"] }),
    status: z.enum(["making", "ready", "stale", "applied", "failed"]),
    templates: z.array(templateUse),
    digest: z.string().nullable(),
    summary: z
      .object({ exact: z.int(), deferred: z.int(), unchanged: z.int(), destroy: z.int() })
      .nullable()
      .meta({ description: "Groups by what is known of them; null until it is ready" }),
    createdAt: time,
    expiresAt: time,
  })
  .meta({ id: "PlanSummary", description: "A saved plan without its steps" });

export const planView = planSummaryView
  .extend({
    steps: z.array(
      z.object({
        key: z.string(),
        phase: z.string(),
        template: z.string(),
        group: z.string().nullable(),
        executor: z.string().nullable(),
        mark,
        reason: z.string(),
        dependsOn: z.array(z.string()).meta({ description: "Keys of steps that must end first" }),
        changes: z.array(changeView),
      }),
    ),
  })
  .meta({ id: "Plan", description: "A saved plan: `environment.apply` does exactly this" });

export const planRoutes = [
  {
    id: "getPlan",
    method: "GET",
    path: `${apiRoot}/plans/{plan}`,
    tag: "plans",
    summary: "Read a saved plan",
    params: z.object({ plan: segment("Id of the plan") }),
    headers: readHeaders,
    replies: { 200: { description: "The plan", schema: planView } },
    errors: ["not-found"],
  },
] as const satisfies readonly Route[];
