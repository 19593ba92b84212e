import { z } from "zod";
import { apiRoot, type Route } from "./rest-route.ts";

export const busView = z
  .object({
    kind: z.string().meta({ examples: ["amqp", "embedded"] }),
    status: z.enum(["up", "down"]),
    detail: z.string(),
    latencyMs: z.number().nullable(),
    advice: z.string().nullable(),
    commands: z.int().nullable().meta({ description: "Commands that wait to be taken" }),
    dead: z.int().nullable().meta({ description: "Dead letters" }),
    behind: z
      .int()
      .nullable()
      .meta({ description: "Events of the journal that the bus has not yet confirmed" }),
  })
  .meta({ id: "Bus" });

const most = 10_000;

export const redriveBody = z
  .strictObject({
    reason: z
      .string()
      .min(1)
      .max(100)
      .optional()
      .meta({ description: "Only what is dead for this reason", examples: ["not-found"] }),
    limit: z.int().min(1).max(most).default(1_000).meta({ description: "At most so many" }),
    dryRun: z.boolean().default(false).meta({ description: "Count, and move nothing" }),
  })
  .meta({ id: "Redrive" });

export const redrivenView = z
  .object({
    moved: z.int().meta({ description: "Moved back to the commands, or what would be" }),
    left: z.int().meta({ description: "Dead letters that are left" }),
    reasons: z
      .record(z.string(), z.int())
      .meta({ description: "How many there were of each reason, among those looked at" }),
  })
  .meta({ id: "Redriven" });

export const busRoutes = [
  {
    id: "getBus",
    method: "GET",
    path: `${apiRoot}/bus`,
    tag: "service",
    summary: "How the message bus is",
    replies: { 200: { description: "Its state", schema: busView } },
  },
  {
    id: "redriveBus",
    method: "POST",
    path: `${apiRoot}/bus/redrive`,
    tag: "service",
    summary: "Move dead letters back to the commands",
    description:
      "Do it once what they died of is mended. What fails again becomes a dead letter again. A command that was taken already is not taken twice.",
    body: { schema: redriveBody, optional: true },
    replies: { 200: { description: "What was moved", schema: redrivenView } },
    errors: ["unavailable"],
  },
] as const satisfies readonly Route[];
