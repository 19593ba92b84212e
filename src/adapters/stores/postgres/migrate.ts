import type { Log } from "../../../ports/telemetry.ts";
import {
  addVersion,
  migrations,
  oldestAfter,
  sayChanged,
  schemaVersionTable,
  versionRow,
  worksWith,
} from "../sql/migrations.ts";
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
  fullText: "tsvector",
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
 * when the database was written by a newer program whose changes this one cannot work with.
 */
export async function migrate(connection: Connection, options: MigrateOptions): Promise<void> {
  const known = options.migrations ?? migrations;
  await connection.query("set statement_timeout = 0");
  await connection.query("set lock_timeout = 0");
  await lock(connection, options.log);
  try {
    await connection.query(schemaVersionTable.replaceAll(" integer", " bigint"));
    await connection.query(`alter table "schemaVersion" add column if not exists "oldest" bigint`);
    const present = await schemaVersion(connection);
    const newest = known.at(-1)?.version ?? 0;
    if (present > newest) {
      const oldest = await oldestProgram(connection, newest);
      options.log.warn(worksWith({ present, newest, oldest }), { present, newest });
    }
    const missing = known.filter((migration) => migration.version > present);
    for (const migration of missing) await apply(connection, migration, options.now);
    sayChanged(options.log, { present, applied: missing });
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

async function oldestProgram(connection: Connection, newest: number): Promise<number> {
  const { rows } = await connection.query<{ readonly oldest: number }>(oldestAfter, [newest]);
  return rows[0]?.oldest ?? Number.POSITIVE_INFINITY;
}

async function apply(connection: Connection, migration: Migration, now: string): Promise<void> {
  await connection.query("begin");
  try {
    for (const text of migration.statements(ddl)) await connection.script(columnTypes(text));
    await connection.query(addVersion, versionRow(migration, now));
    await connection.query("commit");
  } catch (error) {
    if (!connection.isLost) await connection.query("rollback");
    throw error;
  }
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
