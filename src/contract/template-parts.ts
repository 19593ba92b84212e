import { z } from "zod";
import { durationPattern } from "../lib/duration.ts";
import { keyPattern, namePattern } from "../domain/id.ts";
import { labelPattern, maximumLabels } from "../domain/label.ts";

/** Schemas that several sections of template.yaml share. Texts in `error` are ends of a sentence: "… must be …". */

export const key = z
  .string()
  .max(63, { error: "must have at most 63 characters" })
  .regex(keyPattern, {
    error:
      "must begin with a small letter and hold only small letters, digits and _, so that expressions can name it",
  })
  .refine((name) => name !== "constructor", { error: "is a reserved name: choose another one" });

export const label = z
  .string({ error: "must be text" })
  .max(63, { error: "must have at most 63 characters" })
  .regex(namePattern, {
    error: "must be small letters, digits and -, neither first nor last a -, at most 63 characters",
  });

export const description = z
  .string({ error: "must be text" })
  .max(2_000, { error: "must have at most 2000 characters" })
  .meta({ description: "What it is, for people" });

export const duration = z
  .string({ error: 'must be a duration such as "30s", "5m", "48h" or "30d"' })
  .regex(new RegExp(durationPattern, "u"), {
    error: 'must be a duration such as "30s", "5m", "48h" or "30d"',
  })
  .meta({ examples: ["30s", "5m", "48h", "30d"] });

/** Text that may hold expressions. */
export const text = z.string({ error: "must be text" });

/** A string that is one expression; what it gives is checked apart. */
export const expression = (error: string): z.ZodString =>
  z
    .string({ error })
    .regex(/^\$\{\{[^]*\}\}$/u, { error })
    .meta({ description: 'An expression, quoted: "${{ … }}"' });

export const scalar = z
  .union([z.string(), z.number(), z.boolean()], { error: "must be text, a number, true or false" })
  .meta({ description: "Text (which may hold expressions), a number, true or false" });

export const tags = z
  .record(
    tagName(),
    z
      .string({ error: "must be text: quote it" })
      .max(512, { error: "must have at most 512 characters" }),
    { error: "must be a map of names to texts" },
  )
  .meta({ description: "Names and values to find it by" });

export function tagName(): z.ZodString {
  return z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9._/-]{0,62}$/u, {
    error: "must be letters, digits and . _ / -, at most 63 characters",
  });
}

/** Labels of workers, here and in the configuration. */
export const workerLabels = z
  .array(
    z.string({ error: "must be text" }).regex(labelPattern, {
      error:
        "must be small letters, digits and . _ -, beginning with a letter or digit, at most 63 characters",
    }),
    { error: "must be a list of labels, such as [gpu, eu]" },
  )
  .max(maximumLabels, { error: `must have at most ${maximumLabels} labels` });

export const runsOn = (meaning: string): z.ZodOptional<typeof workerLabels> =>
  workerLabels.optional().meta({ description: meaning });

export const keyed = <T extends z.ZodType>(value: T, error: string): z.ZodRecord<typeof key, T> =>
  z.record(key, value, { error });
