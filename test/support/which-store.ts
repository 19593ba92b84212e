import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPostgresStore } from "../../src/adapters/stores/postgres/index.ts";
import { createSqliteStore } from "../../src/adapters/stores/sqlite/index.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { Store } from "../../src/ports/store.ts";
import { NamedServices } from "../../src/app/service-address.ts";
import { Remotes } from "../../src/clients/resilience/remotes.ts";
import { noMetrics, type Log } from "../../src/ports/telemetry.ts";
import { openStore, type Lasting } from "../../src/app/compose-store.ts";
import { loadConfig } from "../../src/app/config.ts";
import { postgresDump } from "./dump.ts";
import { TestPostgres } from "./postgres.ts";

/**
 * `GLASSHOUSE_TEST_STORE=postgres` lets the tests of the whole product run on a private PostgreSQL: a server for each test
 * process, and a database for each data directory.
 */
const wanted = process.env["GLASSHOUSE_TEST_STORE"] ?? "sqlite";
let starting: Promise<TestPostgres> | null = null;
const databases = new Map<string, Promise<string>>();

/** Variables for a server with this data directory; the same again gives the same database. */
export async function storeVariables(data: string): Promise<Readonly<Record<string, string>>> {
  if (wanted !== "postgres") return {};
  return {
    GLASSHOUSE_STORE_URL: await databaseUrl(data),
    GLASSHOUSE_STORE_POOL: "8",
    GLASSHOUSE_SECURITY_KEY: await keyFile(data),
  };
}

/** A PostgreSQL for one test, whatever is wanted for the others. */
export interface OwnDatabase {
  /** For a server that keeps its state there. */
  readonly variables: Readonly<Record<string, string>>;
  /** Every row of every table, as text. */
  dump(): Promise<string>;
  remove(): Promise<void>;
}

export async function ownDatabase(): Promise<OwnDatabase> {
  const server = await TestPostgres.start();
  const database = await server.createDatabase();
  const directory = await mkdtemp(join(tmpdir(), "glasshouse-key-"));
  return {
    variables: {
      GLASSHOUSE_STORE_URL: server.url(database),
      GLASSHOUSE_SECURITY_KEY: await newKeyFile(directory),
    },
    dump: async () => [...(await postgresDump(server, database)).values()].join("\n"),
    async remove() {
      await server.remove();
      await rm(directory, { recursive: true });
    },
  };
}

/** A store of the kind that is wanted, for tests that run in this process. */
export async function openTestStore(of: {
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly onCommit?: (n: number, phase: "before" | "after") => void;
  readonly unsafeWithoutFence?: boolean;
}): Promise<Store> {
  if (wanted !== "postgres") return createSqliteStore(of);
  return createPostgresStore({ ...of, url: await databaseUrl(of.directory) });
}

/** What a server with this data directory would open. No server may run on it where only one can. */
export async function openLasting(
  data: string,
  around: { readonly clock: Clock; readonly log: Log },
): Promise<Lasting> {
  const env = await storeVariables(data);
  const { config } = await loadConfig({ flags: { data }, env, cwd: data });
  const remotes = new Remotes({ ...around, metrics: noMetrics });
  return openStore(config, {
    ...around,
    metrics: noMetrics,
    remotes,
    variables: process.env,
    crash: { onCommit: null },
    vault: null,
    named: new NamedServices({ client: null, log: around.log }),
  });
}

/** Why a test of what only SQLite has is passed over, or false. */
export const sqliteOnly: string | false =
  wanted === "postgres" && "it is about files, and state is kept in PostgreSQL";

async function databaseUrl(data: string): Promise<string> {
  starting ??= TestPostgres.start();
  const server = await starting;
  const making = databases.get(data) ?? server.createDatabase();
  databases.set(data, making);
  return server.url(await making);
}

/** Where a server with files would have it, so that tests which look for it find it. */
async function keyFile(data: string): Promise<string> {
  const directory = join(data, "keys");
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return newKeyFile(directory);
}

/** A key in a file `root.key`, as operators make one for several replicas. It is there already when this is repeated. */
export async function newKeyFile(directory: string): Promise<string> {
  const file = join(directory, "root.key");
  const key = `${randomBytes(32).toString("base64")}\n`;
  await writeFile(file, key, { mode: 0o600, flag: "wx" }).catch(() => undefined);
  return file;
}
