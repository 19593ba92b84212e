import { z } from "zod";
import { description, duration, text } from "./template-parts.ts";

const roleText = "must be the name of a role of Vault's PKI engine";

export const certificateSchema = z
  .strictObject(
    {
      description: description.optional(),
      role: z
        .string({ error: roleText })
        .regex(/^\w(?:[\w.-]{0,126}\w)?$/u, { error: roleText })
        .meta({
          description:
            "The role of Vault's PKI engine that issues it; the embedded authority has none",
        }),
      commonName: text.meta({ description: "Whom it is for; may hold expressions" }),
      altNames: z
        .array(text, { error: "must be a list of names" })
        .max(100, { error: "must have at most 100 names" })
        .optional()
        .meta({
          description:
            "Further host names, IP addresses and URIs; each may hold expressions. The common name is always one of them",
        }),
      ttl: duration.optional().meta({ description: "How long it is good; 30d when left out" }),
      renewBefore: duration.optional().meta({
        description:
          "Another one is issued when this one has so little time left; a third of ttl when left out",
      }),
    },
    { error: "must be a map with role and commonName" },
  )
  .meta({
    description:
      "A certificate that is issued for each environment, renewed in time, and revoked with it",
  });

export type CertificateFile = z.infer<typeof certificateSchema>;
