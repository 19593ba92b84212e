import { z } from "zod";
import {
  parseSecretSource,
  secretCharsets,
  secretDefaults,
  type SecretCharset,
} from "../domain/secret.ts";
import { description, duration } from "./template-parts.ts";

const sourceText = "must be written out as vault:<mount>/<path>#<field>";
const lengthText = "must be a whole number from 8 to 1024";
const charsets = Object.keys(secretCharsets).filter(
  (name): name is SecretCharset => name in secretCharsets,
);

export const secretSchema = z
  .strictObject(
    {
      description: description.optional(),
      length: z
        .int({ error: lengthText })
        .min(8, { error: lengthText })
        .max(1_024, { error: lengthText })
        .optional()
        .meta({ description: `How many characters; ${secretDefaults.length} when left out` }),
      charset: z
        .enum(charsets, { error: `must be one of ${charsets.join(", ")}` })
        .optional()
        .meta({ description: `Which characters; ${secretDefaults.charset} when left out` }),
      rotate: duration.optional().meta({
        description: "A new version is made when the newest is so old; never when left out",
      }),
      policy: z
        .string({ error: "must be text" })
        .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/u, {
          error: "must be the name of a password policy",
        })
        .optional()
        .meta({
          description: "A password policy of Vault that makes it, in place of length and charset",
        }),
      from: z
        .string({ error: sourceText })
        .refine((text) => parseSecretSource(text) !== null, { error: sourceText })
        .optional()
        .meta({
          description:
            "Where a value is that exists already, as vault:<mount>/<path>#<field>: none is made then",
        }),
    },
    { error: "must be a map; write {} for 32 letters and digits" },
  )
  .meta({
    description:
      "A value that is generated for each environment, owned by it, and taken away with it",
  });

export type SecretFile = z.infer<typeof secretSchema>;
