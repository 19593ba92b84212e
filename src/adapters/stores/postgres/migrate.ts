import { GlasshouseError } from "../../../domain/errors.ts";
import type { Log } from "../../../ports/telemetry.ts";
import { migrations } from "../sql/migrations.ts";
import type { Migration } from "../sql/migrations.ts";
import type { Ddl } from "../sql/migrations/ddl.ts";
import type { Connection } from "../../../clients/postgres/connection.ts";
import { migrationLock } from "./transaction.ts";

const ddl: Ddl = {
  identity: "bigint generated always as identity primary key",
  rising: `bigint, "number" bigint generated always as identity primary key`,
  bytes: "bytea",
  boolean: "boolean",
  keyOrdered: "",
  shared: true,
};

export interface MigrateOptions {
  readonly log: Log;
  /** RFC 3339. */
  readonly now: string;
  /** Other than the program's own in tests. */
  readonly migrations?: readonly Migration[];
}

/** How often one that waits for another server's changes says so. */
const sayEveryMs = 5_000;

/**
 * Brings the schema up to what the program knows, one server at a time. Safe to repeat and to be cut off. Errors: `conflict`
 * when the database was written by a newer program.
 */
export async function migrate(connection: Connection, options: MigrateOptions): Promise<void> {
  const known = options.migrations ?? migrations;
  await connection.query("set statement_timeout = 0");
  await connection.query("set lock_timeout = 0");
  await lock(connection, options.log);
  try {
    await connection.query(
      `create table if not exists "schemaVersion" (
         "version" bigint primary key, "name" text not null, "appliedAt" text not null)`,
    );
    const present = await schemaVersion(connection);
    const newest = known.at(-1)?.version ?? 0;
    if (present > newest) throw newer(present, newest);
    for (const migration of known)
      if (migration.version > present) await apply(connection, migration, options);
  } finally {
    if (!connection.isLost) await connection.query(`select pg_advisory_unlock(${migrationLock})`);
  }
}

/** Says what it waits for while another server changes the schema. */
async function lock(connection: Connection, log: Log): Promise<void> {
  const waits = setInterval(
    () => log.info("Another server changes the database's schema; this one waits for it", {}),
    sayEveryMs,
  );
  try {
    await connection.query(`select pg_advisory_lock(${migrationLock})`);
  } finally {
    clearInterval(waits);
  }
}

async function schemaVersion(connection: Connection): Promise<number> {
  const { rows } = await connection.query<{ readonly version: number | null }>(
    `select max("version") as "version" from "schemaVersion"`,
  );
  return rows[0]?.version ?? 0;
}

async function apply(
  connection: Connection,
  migration: Migration,
  { log, now }: MigrateOptions,
): Promise<void> {
  await connection.query("begin");
  try {
    for (const text of migration.statements(ddl)) await connection.script(columnTypes(text));
    await connection.query(
      `insert into "schemaVersion" ("version", "name", "appliedAt") values (?, ?, ?)`,
      [migration.version, migration.name, now],
    );
    await connection.query("commit");
  } catch (error) {
    if (!connection.isLost) await connection.query("rollback");
    throw error;
  }
  log.info("Database schema changed", { version: migration.version, name: migration.name });
}

/**
 * Text sorts by its bytes, whatever the database's collation: lists are paged by it, and the program compares in the same
 * way. Whole numbers have 64 bits, as SQLite's have.
 */
function columnTypes(statement: string): string {
  if (!/^\s*(?:create|alter) table/u.test(statement)) return statement;
  return statement
    .replaceAll(/(?<=") text\b/gu, ` text collate "C"`)
    .replaceAll(/(?<=") integer\b/gu, " bigint");
}

function newer(present: number, newest: number): GlasshouseError {
  return new GlasshouseError(
    "conflict",
    `The database has schema ${present}, and this program knows schemas up to ${newest}. ` +
      "Start the program that wrote it, or restore a backup that was made before the upgrade.",
  );
}
