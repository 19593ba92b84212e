import { z } from "zod";

const text = (
  description: string,
  marks: { readonly path?: true; readonly secret?: true } = {},
): z.ZodString =>
  z
    .string({ error: "must be text" })
    .min(1, { error: "must not be empty" })
    .meta({ description, ...marks });

const mount = (description: string): z.ZodString =>
  z
    .string({ error: "must be text" })
    .regex(/^[A-Za-z0-9_.-]+(?:\/[A-Za-z0-9_.-]+)*$/u, {
      error: "must be a path without a slash at its ends, such as secret or team/kv",
    })
    .meta({ description });

const patterns = (what: string, description: string) =>
  z
    .array(
      z.string({ error: "must be text" }).regex(/^[^/\s#*]+\/[^\s#*]+(?:\/\*)?$|^[^/\s#*]+\/\*$/u, {
        error: `must be ${what}, or ${what}/* for all below`,
      }),
      { error: "must be a list" },
    )
    .meta({ description })
    .default([]);

/** The section `vault` of the configuration: where it is, how to log in, and what it keeps. */
export const vaultSchema = z.strictObject({
  address: z
    .string({ error: "must be text" })
    .regex(/^https?:\/\/[^\s@]+$/u, {
      error: "must be http://host:port or https://host:port, without a user",
    })
    .meta({
      description:
        "Address of Vault, http:// or https://host:port, or `consul:service` in place of host and port; without one, declared secrets are kept in the embedded sealed store, and certificates are issued by the embedded authority",
    })
    .optional(),
  namespace: text("Namespace, where Vault has them").optional(),
  token: text("A token: `env:NAME` or `file:path`; a file is read again at every login", {
    secret: true,
  }).optional(),
  approle: z
    .strictObject({
      mount: mount("Where the auth method AppRole is").default("approle"),
      roleId: text("The role's id: itself, `env:NAME` or `file:path`", { secret: true }).optional(),
      secretId: text("A secret-id of the role: `env:NAME` or `file:path`", {
        secret: true,
      }).optional(),
      wrapped: z
        .boolean({ error: "must be true or false" })
        .meta({ description: "`secretId` is a wrapping token, which is unwrapped once" })
        .default(false),
    })
    .prefault({}),
  kubernetes: z
    .strictObject({
      mount: mount("Where the auth method Kubernetes is").default("kubernetes"),
      role: text("Role to log in with the pod's service account").optional(),
      tokenFile: text("File of the service account's token", { path: true }).default(
        "/var/run/secrets/kubernetes.io/serviceaccount/token",
      ),
    })
    .prefault({}),
  kv: z
    .strictObject({
      mount: mount("Where the KV engine, version 2, is that keeps declared secrets").default(
        "secret",
      ),
      prefix: mount("Folder in it").default("glasshouse"),
    })
    .prefault({}),
  pki: z
    .strictObject({
      mount: mount("Where the PKI engine is that issues declared certificates").default("pki"),
    })
    .prefault({}),
  shared: z
    .array(
      z.string({ error: "must be text" }).regex(/^[^/\s#*]+\/[^\s#*]+(?:\/\*)?$|^[^/\s#*]+\/\*$/u, {
        error: "must be mount/path, or mount/path/* for all below",
      }),
      { error: "must be a list of paths" },
    )
    .meta({
      description:
        "Values in KV engines, version 2, that any template may name with `from`: mount/path, or mount/path/* for all below",
    })
    .default([]),
  grants: z
    .record(
      z.string(),
      z.strictObject({
        paths: patterns("mount/path", "Keys of KV engines"),
        roles: patterns("mount/role", "Roles of PKI engines"),
      }),
      { error: "must be a map of templates" },
    )
    .meta({
      description:
        "What groups of `vault-secrets` and `vault-certificates` may use, by template, `*` for all of them: `paths` of KV engines as mount/path and `roles` of PKI engines as mount/role, each with /* for all below; whatever the policy allows when left out",
      fileOnly: true,
    })
    .optional(),
  tls: z
    .strictObject({
      ca: text("File of the authorities that Vault's certificate may be from", {
        path: true,
      }).optional(),
    })
    .prefault({}),
});
