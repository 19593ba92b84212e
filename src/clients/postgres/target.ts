import { readFileSync } from "node:fs";
import type { ConnectionOptions } from "node:tls";
import type pg from "pg";
import { GlasshouseError } from "../../domain/errors.ts";
import type { ClientCertificate, DatabaseLogin } from "./logins.ts";

export interface TargetOptions {
  /** `postgres://user@host:5432,other:5432/database?sslmode=verify-full&sslrootcert=/path`. */
  readonly url: string;
  /** In place of one in the URL. */
  readonly password?: string | undefined;
  /**
   * Who connects, in place of the user of the URL, and then acts as that user: it must be a member of it. So tables have one owner
   * whoever connects.
   */
  readonly login?: DatabaseLogin | undefined;
  /** Shown where the server asks for one. */
  readonly certificate?: ClientCertificate | undefined;
  /** Path of a file with the certificates of the authorities that are trusted, in place of those of Node. */
  readonly caFile?: string | undefined;
  readonly limits: TargetLimits;
}

export interface TargetLimits {
  readonly connectMs: number;
  readonly statementMs: number;
  /** How long one waits for what another transaction holds. */
  readonly lockMs: number;
  /** After so long without a statement in an open transaction the server ends it and frees what it holds. */
  readonly idleInTransactionMs: number;
}

/** A URL whose hosts change while the program runs. */
export interface ChangingUrl {
  /** As it is now; null before any host is known. */
  readonly now: () => string | null;
  /** Calls `fn` when it has changed. Returns a function that ends it. */
  readonly watch: (fn: () => void) => () => void;
  /** For people, where no host is known. */
  readonly name: string;
}

/** One host that a connection may be made to. */
export interface Target {
  /** For people: `host:port/database`, nothing secret. */
  readonly name: string;
  readonly client: pg.ClientConfig;
}

const form =
  /^postgres(?:ql)?:\/\/(?:(?<user>[^:@/]*)(?::(?<password>[^@/]*))?@)?(?<hosts>[^/?]+)(?:\/(?<database>[^?]*))?(?:\?(?<query>.*))?$/u;
const parameters = ["sslmode", "sslrootcert"];
const modes = ["disable", "require", "verify-ca", "verify-full"] as const;

type Mode = (typeof modes)[number];

/** The hosts of a URL in their order. Errors: `invalid-configuration`; the message never repeats the password. */
export function targetsOf(options: TargetOptions): readonly Target[] {
  const parts = form.exec(options.url)?.groups;
  if (parts === undefined) throw refused("must be postgres://user@host:port/database");
  const query = new URLSearchParams(parts["query"] ?? "");
  const unknown = [...query.keys()].find((key) => !parameters.includes(key));
  if (unknown !== undefined)
    throw refused(`has a parameter ${unknown}; it takes ${parameters.join(" and ")}`);
  const database = decoded(parts["database"] ?? "");
  const user = decoded(parts["user"] ?? "");
  if (database === "" || user === "") throw refused("must name a user and a database");
  const password = options.password ?? given(parts["password"]);
  const { limits } = options;
  return (parts["hosts"] ?? "").split(",").map((text) => {
    const { host, port } = addressOf(text);
    const ssl = tlsOf(host, query, options);
    return {
      name: `${host}:${port}/${database}`,
      client: {
        host,
        port,
        ...whoOf(options, { user, password }),
        database,
        ssl,
        application_name: "glasshouse",
        connectionTimeoutMillis: limits.connectMs,
        statement_timeout: limits.statementMs,
        lock_timeout: limits.lockMs,
        idle_in_transaction_session_timeout: limits.idleInTransactionMs,
        keepAlive: true,
        keepAliveInitialDelayMillis: 10_000,
      },
    };
  });
}

function whoOf(
  { login }: TargetOptions,
  named: { readonly user: string; readonly password: string | undefined },
): pg.ClientConfig {
  // Without a password pg would look for one in the environment and in a file of the user's.
  if (login === undefined) return { user: named.user, password: named.password ?? "" };
  const role = named.user.replaceAll(/[\\ ]/gu, String.raw`\$&`);
  return { user: login.username, password: login.password, options: `-c role=${role}` };
}

function addressOf(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?<host>\[[0-9A-Fa-f:.]+\]|[^:[\]]+)(?::(?<port>\d{1,5}))?$/u.exec(text)?.groups;
  const host = match?.["host"];
  const port = Number(match?.["port"] ?? 5432);
  if (host === undefined || port > 65_535) throw refused(`has no host and port in "${text}"`);
  return { host: decoded(host.replace(/^\[(.*)\]$/u, "$1")), port };
}

/**
 * As libpq reads it, but that `allow` and `prefer`, which fall back to plain text unseen, are refused, and that nothing said
 * means `verify-full` unless the server is on this machine and no certificate is to be shown.
 */
function tlsOf(
  host: string,
  query: URLSearchParams,
  { caFile, certificate }: Pick<TargetOptions, "caFile" | "certificate">,
): false | ConnectionOptions {
  const local = ["127.0.0.1", "::1", "localhost"].includes(host) || host.startsWith("/");
  const said = query.get("sslmode");
  const mode =
    said === null
      ? local && certificate === undefined
        ? "disable"
        : "verify-full"
      : modes.find(is(said));
  if (mode === undefined) throw refused(`has sslmode=${said ?? ""}; it may be ${modes.join(", ")}`);
  if (mode === "disable" && certificate !== undefined)
    throw refused("has sslmode=disable: a certificate (store.tls) is shown only with TLS");
  if (mode === "disable") return false;
  const file = caFile ?? query.get("sslrootcert") ?? undefined;
  const own =
    certificate === undefined ? {} : { cert: certificate.certificate, key: certificate.key };
  return { ...checks(mode, file), ...own, ...(file === undefined ? {} : { ca: read(file) }) };
}

function checks(mode: Exclude<Mode, "disable">, file: string | undefined): ConnectionOptions {
  switch (mode) {
    case "require":
      // With a file of authorities `require` checks the chain, as in libpq.
      return file === undefined ? { rejectUnauthorized: false } : anyName;
    case "verify-ca":
      return anyName;
    case "verify-full":
      return {};
  }
}

/** The certificate must be of a trusted authority; whose name is in it does not matter. */
const anyName: ConnectionOptions = { checkServerIdentity: () => undefined };

function is(said: string): (mode: Mode) => boolean {
  return (mode) => mode === said;
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new GlasshouseError(
      "invalid-configuration",
      `The certificates that store.url or store.tls.ca names cannot be read: ${file}.`,
      { cause },
    );
  }
}

function given(text: string | undefined): string | undefined {
  return text === undefined ? undefined : decoded(text);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refused("has a % that begins no character");
  }
}

function refused(why: string): GlasshouseError {
  return new GlasshouseError("invalid-configuration", `store.url ${why}.`);
}
