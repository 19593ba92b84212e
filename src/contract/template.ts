import { z } from "zod";
import { maximumGroups } from "../domain/template.ts";
import { actionSchema, checkSchema, groupSchema } from "./template-group.ts";
import { certificateSchema } from "./template-certificate.ts";
import { secretSchema } from "./template-secret.ts";
import { description, duration, key, keyed, label, tags, text } from "./template-parts.ts";

const whole = (error: string): z.ZodInt => z.int({ error });
const length = whole("must be a whole number of at least 0").min(0, {
  error: "must be at least 0",
});
const finite = z.number({ error: "must be a number" });
const scalarTypes = ["string", "integer", "number", "boolean"] as const;

const jsonValue = z.json({ error: "must be a value" }).meta({ id: "JsonValue" });

export const parameterSchema = z
  .strictObject(
    {
      type: z.enum([...scalarTypes, "list", "map"], {
        error: "must be string, integer, number, boolean, list or map",
      }),
      description: description.optional(),
      default: jsonValue.optional().meta({ description: "Makes the parameter optional" }),
      secret: z
        .boolean({ error: "must be true or false" })
        .optional()
        .meta({ description: "Sealed when it is taken in, never shown" }),
      immutable: z
        .boolean({ error: "must be true or false" })
        .optional()
        .meta({ description: "Cannot change once the environment exists" }),
      enum: z
        .array(jsonValue, { error: "must be a list of values" })
        .min(1, { error: "must hold at least one value" })
        .optional(),
      minimum: finite.optional(),
      maximum: finite.optional(),
      minLength: length.optional(),
      maxLength: length.optional(),
      pattern: z
        .string({ error: "must be text" })
        .max(1_000, { error: "must have at most 1000 characters" })
        .optional()
        .meta({
          description:
            "Regular expression without look-around, back-references and word boundaries",
        }),
      items: z
        .enum(scalarTypes, { error: "must be string, integer, number or boolean" })
        .optional()
        .meta({ description: "Type of a list's items or a map's values" }),
      minItems: length.optional(),
      maxItems: length.optional(),
    },
    { error: "must be a map with a type" },
  )
  .meta({ description: "A value that is given when an environment is made" });

const requirementSchema = z
  .strictObject(
    {
      environment: text.optional().meta({
        description: "Name of the environment whose outputs are used; may hold expressions",
      }),
      template: text.optional().meta({ description: "Not available in this version" }),
      outputs: z.array(key, { error: "must be a list of names" }).optional(),
      description: description.optional(),
      check: checkSchema.optional(),
    },
    { error: "must be a map with environment and outputs, or with a description" },
  )
  .meta({
    description:
      "Something needed and not owned: outputs of another environment, or an external resource",
  });

const later = z
  .record(z.string(), z.unknown())
  .optional()
  .meta({ description: "Not available in this version" });

/**
 * template.yaml, version 1: the one source of its validation, its types and its JSON Schema. What comes later is in it, so that
 * it is refused by name. Settings of groups (`with`) are checked against their executor's shape apart.
 */
export const templateSchema = z
  .strictObject(
    {
      apiVersion: z.literal("glasshouse/v1", { error: "must be glasshouse/v1" }),
      kind: z.literal("Template", { error: "must be Template" }),
      name: label.meta({ description: "With the version, unique" }),
      version: z
        .string({ error: 'must be a version such as "1.2.0"' })
        .max(64, { error: "must have at most 64 characters" })
        .meta({ description: "Semantic version; a registered one never changes" }),
      description: description.optional(),
      tags: tags.optional(),
      parameters: keyed(parameterSchema, "must be a map of parameters").optional(),
      secrets: keyed(secretSchema, "must be a map of secrets")
        .optional()
        .meta({ description: "Values that are generated for each environment" }),
      certificates: keyed(certificateSchema, "must be a map of certificates")
        .optional()
        .meta({ description: "Certificates that are issued for each environment" }),
      requires: keyed(requirementSchema, "must be a map of requirements").optional(),
      groups: keyed(groupSchema, "must be a map of groups"),
      outputs: keyed(jsonValue, "must be a map of names to values")
        .optional()
        .meta({ description: "What other environments may require" }),
      entrypoints: keyed(
        z.strictObject(
          { url: text, description: description.optional() },
          { error: "must be a map with a url" },
        ),
        "must be a map of entrypoints",
      )
        .optional()
        .meta({ description: "Where to go in" }),
      checks: keyed(checkSchema, "must be a map of checks")
        .optional()
        .meta({ description: "The environment is validating until these pass" }),
      actions: keyed(actionSchema, "must be a map of actions").optional(),
      lifetime: z
        .strictObject(
          { default: duration.optional(), maximum: duration.optional() },
          { error: "must be a map with default and maximum" },
        )
        .optional()
        .meta({ description: "How long environments live" }),
      permissions: later,
    },
    { error: "must be a map" },
  )
  .meta({
    title: "Glasshouse template",
    description: `An environment as code; at most ${maximumGroups} groups`,
  });

export type TemplateFile = z.infer<typeof templateSchema>;
export type GroupFile = z.infer<typeof groupSchema>;
export type CheckFile = z.infer<typeof checkSchema>;
export type ParameterFile = z.infer<typeof parameterSchema>;
export type RequirementFile = z.infer<typeof requirementSchema>;
export type ActionFile = z.infer<typeof actionSchema>;

/** Executors that are known and come later: refused by name. */
export const laterExecutors: readonly string[] = ["vault", "helm", "kubernetes", "template"];
