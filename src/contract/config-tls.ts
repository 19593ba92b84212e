import { z } from "zod";

/** The parts of the configuration that say which certificates the server itself shows. */

const file = (description: string) =>
  z
    .string({ error: "must be text" })
    .min(1, { error: "must not be empty" })
    .meta({ description, path: true });

/** Where Vault issues a certificate for the server's own use. */
export const issuePath = (description: string) =>
  z
    .string({ error: "must be text" })
    .regex(/^vault:[^/#\s]+(?:\/[^/#\s]+)*\/issue\/[^/#\s]+$/u, {
      error: "must be vault:<mount>/issue/<role>, such as vault:pki/issue/glasshouse",
    })
    .meta({ description })
    .optional();

/** The section `tls`: what the server shows to those who connect to `listen`. */
export const listenTlsSchema = z.strictObject({
  certificate: file(
    "File of the certificate that is served, in PEM, followed by those between it and the authority; with it the server speaks HTTPS. Read again when it changes",
  ).optional(),
  key: file("File of its key, in PEM").optional(),
  issue: issuePath(
    "Where Vault issues the certificate that is served, `vault:pki/issue/…`, in place of its files; replaced at two thirds of its time without a restart",
  ),
  names: z
    .array(
      z.string().regex(/^[A-Za-z0-9*_]([A-Za-z0-9._-]*[A-Za-z0-9])?$|^[0-9A-Fa-f.:]+$/u, {
        error: "must be a name or an address without port",
      }),
      { error: "must be a list" },
    )
    .meta({
      description:
        "Names and addresses in the certificate that Vault issues: those that clients call the server by",
    })
    .default([]),
  clientCa: file(
    "File of the authorities that clients' certificates must be from; with it everything but `/livez` and `/readyz` needs one. Read again when it changes",
  ).optional(),
});

/** The section `store.tls`. */
export const storeTlsSchema = z.strictObject({
  ca: file(
    "File with the certificates of the authorities that PostgreSQL's certificate may be from",
  ).optional(),
  certificate: file(
    "File of the client's certificate, in PEM. Read again when it changes",
  ).optional(),
  key: file("File of the client's key, in PEM").optional(),
  issue: issuePath(
    "Where Vault issues the client's certificate, `vault:pki/issue/…`, in place of its files; replaced at two thirds of its time without a restart",
  ),
  commonName: z
    .string({ error: "must be text" })
    .min(1, { error: "must not be empty" })
    .meta({
      description:
        "Name in the certificate that Vault issues; the user of the URL when left out, as PostgreSQL wants it",
    })
    .optional(),
});
