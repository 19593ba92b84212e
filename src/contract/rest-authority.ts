import { z } from "zod";
import { apiRoot, readHeaders, type Route } from "./rest-route.ts";
import { listOf, time } from "./schemas.ts";

export const authorityView = z
  .object({
    name: z.string().meta({ examples: ["embedded", "vault"] }),
    subject: z.string(),
    sha256: z.string().meta({ description: "SHA-256 of the certificate that is to be trusted" }),
    notAfter: time.meta({ description: "When that certificate expires" }),
    certificate: z.string().meta({ description: "In PEM; of several the root is the last" }),
    revocations: z.string().meta({ description: "The list of revoked certificates, in PEM" }),
  })
  .meta({ id: "Authority", description: "Who issues the certificates that templates declare" });

export const authorityRoutes = [
  {
    id: "listAuthorities",
    method: "GET",
    path: `${apiRoot}/authorities`,
    tag: "service",
    summary: "List who issues certificates, with what is to be trusted and what is revoked",
    headers: readHeaders,
    replies: {
      200: { description: "New ones come from the first", schema: listOf(authorityView) },
    },
    errors: ["unavailable"],
  },
] as const satisfies readonly Route[];
