import { z } from "zod";
import { secretCharsets, secretDefaults, type SecretCharset } from "../domain/secret.ts";
import { description, duration } from "./template-parts.ts";

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
      from: z
        .string({ error: "must be text" })
        .optional()
        .meta({ description: "Not available in this version" }),
    },
    { error: "must be a map; write {} for 32 letters and digits" },
  )
  .meta({
    description:
      "A value that is generated for each environment, owned by it, and taken away with it",
  });

export type SecretFile = z.infer<typeof secretSchema>;
