import { z } from "zod";
import { jsonValue } from "./schemas.ts";
import { namePattern } from "../domain/id.ts";
import { parseDuration } from "../lib/duration.ts";
import { description, duration, key, tags } from "./template-parts.ts";

/** The `data` of each command, one schema a type. Texts in `error` are ends of a sentence: "… must be …". */

const text = (most: number): z.ZodString =>
  z
    .string({ error: "must be text" })
    .min(1, { error: "must not be empty" })
    .max(most, { error: `must have at most ${most} characters` });

const flag = z.boolean({ error: "must be true or false" }).optional();

const environmentName = z.string({ error: "must be text" }).regex(namePattern, {
  error: "must be small letters, digits and -, neither first nor last a -, at most 63 characters",
});

const templateReference = text(200).meta({
  description:
    "name, name@version or id of a template; a bare name means its highest active version",
  examples: ["web-shop", "web-shop@1.2.0"],
});

const parameters = z
  .record(z.string(), z.json({ error: "must be a JSON value" }), {
    error: "must be a map of parameters to values",
  })
  .meta({
    description: "Values by parameter; `template show` lists the parameters and their rules",
  });

const environmentTags = tags.refine((given) => Object.keys(given).length <= 64, {
  error: "must have at most 64 tags",
});

const lifetime = duration
  .refine((given) => (parseDuration(given) ?? 1) > 0, { error: "must be longer than nothing" })
  .refine((given) => (parseDuration(given) ?? 0) <= 3_650 * 86_400_000, {
    error: "must be at most 3650d",
  })
  .meta({ description: "Destroyed so long after now" });

const parallelism = z
  .int({ error: "must be a whole number from 1 to 200" })
  .min(1, { error: "must be at least 1" })
  .max(200, { error: "must be at most 200" })
  .optional()
  .meta({ description: "So many groups at once; 10 when left out" });

const deferred = z
  .enum(["ask", "safe", "any"], { error: "must be ask, safe or any" })
  .optional()
  .meta({
    description:
      "A group that could not be planned goes on never by itself (ask), when it only creates or updates (safe, the default) or always (any)",
  });

const reset = z
  .array(z.string({ error: "must be text" }), { error: "must be a list of parameters" })
  .optional()
  .meta({ description: "Parameters that return to their default" });

const templates = z
  .array(templateReference, { error: "must be a list of templates" })
  .min(1, { error: "must name a template" })
  .max(20, { error: "must have at most 20 templates" })
  .optional()
  .meta({ description: "In place of `template`; more than one is not available in this version" });

const notBoth = (given: {
  readonly template?: string | undefined;
  readonly templates?: readonly string[] | undefined;
}): boolean => given.template === undefined || given.templates === undefined;
const notBothError = { error: "must not stand beside templates", path: ["template"] };

const later = jsonValue.optional().meta({ description: "Not available in this version" });

const run = text(64).optional().meta({ description: "Id of the run, unless `subject` names it" });

const register = z.strictObject(
  {
    repository: text(2_000).optional().meta({
      description: "URL of a git repository (https, or file while the server listens on loopback)",
    }),
    ref: text(500)
      .optional()
      .meta({ description: "Commit, tag or branch; the repository's HEAD when left out" }),
    path: z
      .string({ error: "must be text" })
      .max(1_000, { error: "must have at most 1000 characters" })
      .optional()
      .meta({ description: "Folder within the repository; its root when left out" }),
    archive: z
      .string({ error: "must be text" })
      .optional()
      .meta({ description: "The folder as a tar.gz, in base64; at most 16 MiB" }),
    draft: flag.meta({ description: "Its content may be replaced until it is activated" }),
  },
  { error: "must be a map with repository or archive" },
);

const templateVersion = z.strictObject(
  { version: text(64).optional().meta({ description: "Unless `subject` names it: name@version" }) },
  { error: "must be a map" },
);

const create = z
  .strictObject(
    {
      name: environmentName.optional().meta({ description: "Unless `subject` names it" }),
      template: templateReference.optional(),
      templates,
      parameters: parameters.optional(),
      description: description.optional(),
      tags: environmentTags.optional(),
      ttl: lifetime.optional(),
      parallelism,
    },
    { error: "must be a map with a template" },
  )
  .refine((given) => (given.template === undefined) !== (given.templates === undefined), {
    error: "must be given, or templates in its place",
    path: ["template"],
  });

const update = z
  .strictObject(
    {
      template: templateReference.optional(),
      templates,
      parameters: parameters.optional(),
      reset,
      description: description.optional(),
      tags: environmentTags.optional(),
      ttl: lifetime
        .nullable()
        .optional()
        .meta({ description: "Destroyed so long after now; null: never" }),
      parallelism,
    },
    { error: "must be a map" },
  )
  .refine(notBoth, notBothError);

const destroy = z.strictObject(
  {
    now: flag.meta({ description: "Cancel the run that is under way instead of waiting for it" }),
    cascade: flag.meta({ description: "Destroy the environments that require it first" }),
    parallelism,
  },
  { error: "must be a map" },
);

const rotate = z.strictObject(
  {
    secrets: z
      .array(key, { error: "must be a list of secrets" })
      .min(1, { error: "must name a secret" })
      .max(1_000, { error: "must have at most 1000 secrets" })
      .optional()
      .meta({
        description: "Declared secrets and certificates that get a new version; all when left out",
      }),
    parallelism,
  },
  { error: "must be a map" },
);

const validate = z.strictObject({ parallelism }, { error: "must be a map" });

const action = z.strictObject(
  {
    action: key.meta({ description: "Name of an action of the template" }),
    parameters: later,
  },
  { error: "must be a map with an action" },
);

const plan = z
  .strictObject(
    {
      template: templateReference.optional(),
      templates,
      parameters: parameters.optional(),
      reset,
      parallelism,
    },
    { error: "must be a map" },
  )
  .refine(notBoth, notBothError);

const apply = z.strictObject(
  { plan: text(64).meta({ description: "Id of a plan that is ready" }), deferred, parallelism },
  { error: "must be a map with a plan" },
);

const retry = z.strictObject(
  {
    run,
    acceptLeaks: z
      .array(text(2_000), { error: "must be a list of addresses" })
      .max(1_000, { error: "must have at most 1000 addresses" })
      .optional()
      .meta({ description: "Addresses that may exist unknown to any record: you have looked" }),
  },
  { error: "must be a map" },
);

const ofRun = z.strictObject({ run }, { error: "must be a map" });

/** Commands of later versions: their data is not looked at, they are refused by name. */
const ofLater = jsonValue;

export const commandData = {
  "template.register": register,
  "template.activate": templateVersion,
  "template.deprecate": templateVersion,
  "environment.create": create,
  "environment.update": update,
  "environment.destroy": destroy,
  "environment.rotate": rotate,
  "environment.validate": validate,
  "environment.refresh": validate,
  "environment.action": action,
  "environment.plan": plan,
  "environment.apply": apply,
  "environment.repair": ofLater,
  "environment.extend": ofLater,
  "environment.protect": ofLater,
  "environment.import": ofLater,
  "environment.forget": ofLater,
  "run.cancel": ofRun,
  "run.retry": retry,
  "run.approve": ofRun,
} as const;
