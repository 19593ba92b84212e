import { z } from "zod";
import type { Json } from "../lib/json.ts";
import { secretMask } from "../domain/value.ts";

/** Schemas that several nouns share. Replies are plain objects, so that a client of today survives the members of tomorrow. */

/** Bodies were JSON before they come here, so nothing is left to check; `z.json()` would walk them all once more. */
export const jsonValue: z.ZodType<Json> = z
  .any()
  .meta({ id: "Json", description: "Any JSON value" });

export const time = z.iso
  .datetime()
  .meta({ description: "RFC 3339, UTC", examples: ["2026-01-31T12:00:00.000Z"] });

export const runsOnView = z
  .array(z.string())
  .meta({ description: "Labels that its worker must offer", examples: [["eu", "gpu"]] });

export const tagsView = z.record(z.string(), z.string());

export const environmentId = z.string().meta({ examples: ["env_01kdmnp3x0c2vq8t5w7y9z0a1b"] });
export const templateId = z.string().meta({ examples: ["tpl_01kdmnp3x0c2vq8t5w7y9z0a1b"] });
export const runId = z.string().meta({ examples: ["run_01kdmnp3x0c2vq8t5w7y9z0a1b"] });
export const stepId = z.string().meta({ examples: ["stp_01kdmnp3x0c2vq8t5w7y9z0a1b"] });
export const planId = z.string().meta({ examples: ["pln_01kdmnp3x0c2vq8t5w7y9z0a1b"] });
export const commandId = z.string().meta({ examples: ["cmd_01kdmnp3x0c2vq8t5w7y9z0a1b"] });
export const resourceId = z.string().meta({ examples: ["res_01kdmnp3x0c2vq8t5w7y9z0a1b"] });

export const durationText = z
  .string()
  .meta({ description: "A duration", examples: ["30s", "48h", "30d"] });

export const values = z
  .record(z.string(), jsonValue)
  .meta({ description: `Values by name; secret ones show as ${secretMask}` });

export const failureView = z
  .object({
    code: z.string().meta({ description: "From the table of errors", examples: ["step-failed"] }),
    message: z.string(),
    details: z
      .array(
        z.object({
          message: z.string(),
          pointer: z.string().optional(),
          place: z.string().optional(),
        }),
      )
      .optional(),
  })
  .meta({ id: "Failure", description: "Why something did not end well" });

export const templateUse = z
  .object({ id: templateId, name: z.string(), version: z.string() })
  .meta({ id: "TemplateUse", description: "A template version that an environment is made of" });

export const changeView = z
  .object({
    address: z.string(),
    action: z.enum(["create", "update", "replace", "destroy", "none"]),
    before: jsonValue.optional(),
    after: jsonValue.optional(),
  })
  .meta({ id: "Change", description: "One difference; values are masked" });

export const checkedHealthView = z
  .object({
    status: z
      .enum(["healthy", "unhealthy", "unknown"])
      .meta({ description: "`unknown`: no check fails, and one was never looked at" }),
    reason: z.string().nullable().meta({ description: "Which checks, and what they said last" }),
  })
  .meta({ id: "CheckedHealth", description: "What checks say of it" });

export const graphView = z
  .object({
    nodes: z.array(
      z.object({
        id: z.string().meta({ description: "Unique within the graph" }),
        kind: z.string().meta({ examples: ["group", "resource", "external", "environment"] }),
        name: z.string(),
        template: z.string().nullable().meta({ description: "The template's name" }),
        group: z.string().nullable(),
        executor: z.string().nullable(),
        status: z.string().nullable(),
        reason: z.string().nullable(),
        health: checkedHealthView
          .nullable()
          .meta({ description: "Of a group, that of its resources; null without checks" }),
      }),
    ),
    edges: z.array(
      z.object({
        from: z.string().meta({ description: "What is waited for" }),
        to: z.string().meta({ description: "What waits, or what is inside" }),
        kind: z.string().meta({ examples: ["dependsOn", "contains", "requires"] }),
      }),
    ),
  })
  .meta({ id: "Graph", description: "Groups, resources and what they depend on" });

/** A page of a list. */
export function listOf<T extends z.ZodType>(
  item: T,
): z.ZodObject<{ items: z.ZodArray<T>; next: z.ZodNullable<z.ZodString> }> {
  return z.object({
    items: z.array(item),
    next: z
      .string()
      .nullable()
      .meta({ description: "The `cursor` of the next page; null on the last" }),
  });
}
