import { z } from "zod";

const text = (description: string) =>
  z
    .string({ error: "must be text" })
    .min(1, { error: "must not be empty" })
    .meta({ description, secret: true });

const host = z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?$/u, {
  error: "must be a host, or host:port",
});

const username = text("User; hosts that take tokens take any").default("git");
const password = text("Password or token, by reference");

function byHost<T extends z.ZodType>(login: T) {
  return z.record(host, login, {
    error: ({ code }) =>
      code === "invalid_key" ? "is no host: write host, or host:port" : "must be a map of hosts",
  });
}

/** `git.hosts`: logins for repositories of templates. */
export const gitHostsSchema = byHost(z.strictObject({ username, password }))
  .meta({
    description:
      "Logins for repositories of templates, by host: `username`, and `password` as env:NAME, file:path or vault:mount/path#field",
    fileOnly: true,
    secret: true,
  })
  .default({});

/** `executors.terraform.hosts`: where modules come from that not everybody may have. */
export const moduleHostsSchema = byHost(
  z
    .strictObject({
      username,
      password: password.optional(),
      token: text("Token of a registry, by reference").optional(),
    })
    .refine(({ password: word, token }) => word !== undefined || token !== undefined, {
      error: "must have a password, for git, or a token, for a registry",
    }),
)
  .meta({
    description:
      "Logins for modules and providers of Terraform, by host: `username` and `password` for git over https, `token` for a registry, each as env:NAME, file:path or vault:mount/path#field; only `init` is given them",
    fileOnly: true,
    secret: true,
  })
  .default({});
