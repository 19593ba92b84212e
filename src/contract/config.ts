import { z } from "zod";
import { durationPattern, parseDuration } from "../lib/duration.ts";
import { gitHostsSchema, moduleHostsSchema } from "./config-hosts.ts";
import { issuePath, listenTlsSchema, storeTlsSchema } from "./config-tls.ts";
import { vaultSchema } from "./config-vault.ts";
import { workerLabels } from "./template-parts.ts";

/**
 * The configuration of the server: the one source of its file, variables, flags and documentation. A key such as
 * `store.url` is also `GLASSHOUSE_STORE_URL` and `--store-url`. Marks in `meta`: `path` (made absolute), `secret` (never
 * shown), `fileOnly` (no variable, no flag), `later` (refused with "not available in this version").
 */

const text = (description: string, marks: Marks = {}) =>
  z
    .string({ error: "must be text" })
    .min(1, { error: "must not be empty" })
    .meta({
      description,
      ...marks,
    });

interface Marks {
  readonly path?: true;
  readonly secret?: true;
  readonly later?: true;
}

const whole = (description: string, [lowest, highest]: readonly [number, number]) =>
  z
    .int({ error: "must be a whole number" })
    .min(lowest, { error: `must be at least ${lowest}` })
    .max(highest, { error: `must be at most ${highest}` })
    .meta({ description });

const durationMs = (description: string) =>
  z
    .string({ error: 'must be a duration such as "90d"' })
    .regex(new RegExp(durationPattern, "u"), { error: 'must be a duration such as "90d"' })
    .transform((value) => parseDuration(value) ?? 0)
    .meta({ description });

const variableName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/u, { error: "must be the name of an environment variable" });

/** A plain value, or a reference: `env:NAME`, `file:path`, `vault:mount/path#field`, `consul:kv/key`, `lease:path#field`. */
const grants = (executor: string) =>
  z.record(variableName, z.string({ error: "must be text" })).meta({
    description: `Environment variables for the ${executor} executor's children: values, or env:NAME, file:path, vault:mount/path#field, consul:kv/key, or lease:path#field for credentials that Vault makes for each step`,
    secret: true,
  });

const grantsByTemplate = <T extends z.ZodRawShape>(executor: string, more: T) =>
  z.record(z.string(), z.strictObject({ env: grants(executor).default({}), ...more })).meta({
    description: `As the members of ${executor} beside it, for one template by its name`,
    fileOnly: true,
    secret: true,
  });

const sealingKey = (description: string) =>
  text(description, { path: true })
    .refine(
      (value) => !value.startsWith("vault:") || /^vault:[^#\s]+\/keys\/[^/#\s]+$/u.test(value),
      {
        error:
          "must be a key file, or vault:<mount>/keys/<name>, such as vault:transit/keys/glasshouse",
      },
    )
    .optional();

const leased = (whose: string, example: string) =>
  z
    .string({ error: "must be text" })
    .regex(/^vault:[^/#\s]+(?:\/[^/#\s]+)+$/u, {
      error: `must be vault: and a path that gives users with a lease, such as vault:${example}`,
    })
    .meta({ description: whose })
    .optional();

const listen = z
  .string({ error: "must be host:port" })
  .regex(/^(?:\[[0-9A-Fa-f:.]+\]|[^[\]:\s]+):\d{1,5}$/u, {
    error: "must be host:port, such as 127.0.0.1:8080",
  })
  .refine((value) => Number(value.slice(value.lastIndexOf(":") + 1)) <= 65_535, {
    error: "must have a port of at most 65535",
  })
  .meta({ description: "Address to serve on, host:port; port 0 takes a free one" });

const distinct = (list: readonly string[]): boolean => new Set(list).size === list.length;

const storeUrl = z
  .string({ error: "must be text" })
  .regex(/^(?:sqlite|postgres(?:ql)?:\/\/.+)$/u, {
    error: "must be sqlite or postgres://user@host:port/database",
  })
  // It is shown by `config show`, in /info and in logs.
  .refine((value) => !/^[^?]*\/\/[^@/]*:[^@/]*@/u.test(value), {
    error: "must have no password in it: give it by reference with store.password",
  })
  .meta({
    description:
      "Where state is kept: `sqlite` is a file in the data directory, `postgres://user@host:port/database?sslmode=verify-full` a database that several servers share (more hosts with commas, or `consul:service`)",
  });

export const configSchema = z.strictObject({
  roles: z
    .array(z.enum(["api", "worker"], { error: "must be api or worker" }), {
      error: "must be a list of api and worker",
    })
    .min(1, { error: "must have at least one of api and worker" })
    .refine(distinct, { error: "must not name a role twice" })
    .meta({
      description:
        "What this process does: `api` takes commands and answers, `worker` works on steps",
    })
    .default(["api", "worker"]),
  listen: listen.default("127.0.0.1:8080"),
  tls: listenTlsSchema.prefault({}),
  data: text("Directory of the service's data", { path: true }).default(".glasshouse"),
  store: z
    .strictObject({
      url: storeUrl.default("sqlite"),
      password: text("Password for PostgreSQL: `env:NAME` or `file:path`", {
        secret: true,
      }).optional(),
      credentials: leased(
        "Users for PostgreSQL that Vault makes, `vault:database/creds/…`, in place of the password; they act as the user of the URL",
        "database/creds/glasshouse",
      ),
      pool: whole(
        "Connections to PostgreSQL for transactions; each server uses up to 8 more",
        [2, 500],
      ).default(16),
      tls: storeTlsSchema.prefault({}),
    })
    .prefault({}),
  bus: z
    .strictObject({
      url: text(
        "Message broker, amqp:// or amqps://host:port/vhost, several hosts with commas, or `consul:service` in their place, or a reference; without one commands come by REST alone",
        { secret: true },
      ).optional(),
      username: text("User at the broker, by reference or as it is; that of the URL, or guest", {
        secret: true,
      }).optional(),
      password: text("Password at the broker, by reference; that of the URL, or guest", {
        secret: true,
      }).optional(),
      credentials: leased(
        "Users at the broker that Vault makes, `vault:rabbitmq/creds/…`, in place of username and password",
        "rabbitmq/creds/glasshouse",
      ),
      tls: z
        .strictObject({
          ca: text("File of the authority that the broker's certificate is of", {
            path: true,
          }).optional(),
          certificate: text("File of the client's certificate", { path: true }).optional(),
          key: text("File of the client's key", { path: true }).optional(),
          issue: issuePath(
            "Where Vault issues the client's certificate, `vault:pki/issue/…`, in place of its files; replaced at two thirds of its time without a restart",
          ),
          commonName: text("Name in the certificate that Vault issues").default("glasshouse"),
        })
        .prefault({}),
      prefetch: whole("Commands that are taken from the queue at once", [1, 2_000]).default(128),
      maxLength: whole(
        "Commands that may wait in the queue; the broker refuses more to their senders",
        [1, 100_000_000],
      ).default(100_000),
      deliveryLimit: whole(
        "How often a command may come back unanswered before it is a dead letter",
        [1, 1_000_000],
      ).default(20),
    })
    .prefault({}),
  consul: z
    .strictObject({
      address: z
        .string({ error: "must be text" })
        .regex(/^https?:\/\/[^\s@]+$/u, {
          error: "must be http://host:port or https://host:port, without a user",
        })
        .meta({
          description:
            "Address of a Consul agent or server, http:// or https://host:port; without one, groups and checks of Consul fail by name",
        })
        .optional(),
      token: text(
        "Consul's token: `env:NAME` or `file:path`; a file is read again when it changes",
        {
          secret: true,
        },
      ).optional(),
      datacenter: text(
        "Datacenter of keys and services that name none; that of the agent when left out",
      ).optional(),
      namespace: text("Namespace, where Consul has them").optional(),
      partition: text("Admin partition, where Consul has them").optional(),
      register: z
        .boolean()
        .meta({
          description:
            "Whether this server registers itself as the service `glasshouse`, with a check of `/readyz`; `consul.address` is then that of the agent of this machine",
        })
        .default(false),
      sidecar: z
        .strictObject({
          register: z
            .boolean()
            .meta({
              description:
                "Whether a sidecar proxy of Consul's service mesh is registered with the service; needs `consul.register`",
            })
            .default(false),
          port: whole(
            "Port of the sidecar; one of the agent's range when left out",
            [1, 65_535],
          ).optional(),
          upstreams: z
            .record(
              z.string(),
              z
                .int({ error: "must be a port" })
                .min(1, { error: "must be a port" })
                .max(65_535, { error: "must be a port" }),
            )
            .meta({
              description:
                "Services that the sidecar leads to, each with the port of loopback where it is then found, as in `postgres=15432`",
            })
            .default({}),
        })
        .prefault({}),
      tls: z
        .strictObject({
          ca: text("File of the authorities that Consul's certificate may be from", {
            path: true,
          }).optional(),
        })
        .prefault({}),
    })
    .prefault({}),
  vault: vaultSchema.prefault({}),
  git: z
    .strictObject({
      hosts: gitHostsSchema,
    })
    .prefault({}),
  executors: z
    .strictObject({
      terraform: z
        .strictObject({
          program: text(
            "terraform, tofu or a path; the first of the two on PATH when left out",
          ).optional(),
          env: grants("terraform").default({}),
          hosts: moduleHostsSchema,
          templates: grantsByTemplate("terraform", { hosts: moduleHostsSchema }).default({}),
        })
        .prefault({}),
      command: z
        .strictObject({
          env: grants("command").default({}),
          templates: grantsByTemplate("command", {}).default({}),
        })
        .prefault({}),
    })
    .prefault({}),
  security: z
    .strictObject({
      key: sealingKey(
        "What opens the sealed store: a key file, made in the data directory when left out, or a key of Vault's transit engine, `vault:transit/keys/…`",
      ),
      previousKey: sealingKey(
        "What has opened it until now, for the start at which `security.key` becomes another one",
      ),
      allowedHosts: z
        .array(
          z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/u, {
            error: "must be a host name without port",
          }),
          { error: "must be a list" },
        )
        .meta({ description: "Names that requests may have in Host and Origin, beside loopback's" })
        .default([]),
    })
    .prefault({}),
  telemetry: z
    .strictObject({
      level: z
        .enum(["debug", "info", "warn", "error", "silent"])
        .meta({ description: "The least important log lines that are written" })
        .default("info"),
      format: z
        .enum(["auto", "json", "pretty"])
        .meta({ description: "Log lines as JSON or for people; auto looks for a terminal" })
        .default("auto"),
    })
    .prefault({}),
  cluster: z
    .strictObject({
      primary: z
        .boolean()
        .meta({ description: "This cluster is the primary", later: true })
        .optional(),
      primaryClusterName: text("Name of the primary cluster", { later: true }).optional(),
      location: text("Where this cluster is", { later: true }).optional(),
    })
    .prefault({}),
  engine: z
    .strictObject({
      labels: workerLabels
        .refine(distinct, { error: "must not name a label twice" })
        .meta({
          description:
            "What this worker offers beyond the ordinary; steps that ask for labels (`runsOn`) run where all of them are offered",
        })
        .default([]),
      places: whole("Steps that are worked on at once", [1, 1_000]).default(20),
      placesByExecutor: z
        .record(z.string(), z.int({ error: "must be a whole number" }).min(1).max(1_000))
        .meta({ description: "Of those, at most so many of an executor, or of checks (`check`)" })
        .default({}),
      parallelism: whole("Steps of one run that are worked on at once", [1, 1_000]).default(10),
      lease: durationMs(
        "How long a worker may be out of touch with a store that many share before its steps may be taken over; 3s to 10m",
      )
        .refine((lease) => lease >= 3_000 && lease <= 600_000, {
          error: "must be between 3s and 10m",
        })
        .prefault("30s"),
    })
    .transform(({ lease, ...engine }) => ({ ...engine, leaseMs: lease }))
    .prefault({}),
  retention: z
    .strictObject({
      events: durationMs("How long events are kept").prefault("90d"),
      commands: durationMs("How long a command's id is remembered").prefault("90d"),
      logs: durationMs("How long logs of ended runs are kept").prefault("30d"),
      states: whole("Versions of a group's state that are kept", [1, 1_000]).default(50),
    })
    .transform(({ events, commands, logs, states }) => ({
      eventsMs: events,
      commandsMs: commands,
      logsMs: logs,
      states,
    }))
    .prefault({}),
});

export type Config = z.output<typeof configSchema>;
