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
import type { Connection } from "./connection.ts";

const ddl: Ddl = {
  identity: "integer primary key autoincrement",
  rising: "integer primary key",
  bytes: "blob",
  boolean: "integer",
  keyOrdered: " without rowid",
  fullText: "fts5",
  shared: false,
};

export interface MigrateOptions {
  readonly log: Log;
  /** RFC 3339. */
  readonly now: string;
  /** Called before an existing database is changed. */
  readonly backUp: (version: number) => void;
  /** Other than the program's own in tests. */
  readonly migrations?: readonly Migration[];
}

/**
 * Brings the schema up to what the program knows. Call it under the directory's lock. Safe to repeat. Errors: `conflict`
 * when the database was written by a newer program whose changes this one cannot work with.
 */
export function migrate(connection: Connection, options: MigrateOptions): void {
  const known = options.migrations ?? migrations;
  makeTable(connection);
  const present = schemaVersion(connection);
  const newest = known.at(-1)?.version ?? 0;
  if (present > newest) {
    const [row] = connection.all<{ readonly oldest: number }>(oldestAfter, [newest]);
    const oldest = row?.oldest ?? Number.POSITIVE_INFINITY;
    options.log.warn(worksWith({ present, newest, oldest }), { present, newest });
  }
  const missing = known.filter((migration) => migration.version > present);
  if (missing.length === 0) return;
  if (present > 0) options.backUp(present);
  for (const migration of missing) apply(connection, migration, options.now);
  sayChanged(options.log, { present, applied: missing });
}

function makeTable(connection: Connection): void {
  connection.database.exec(schemaVersionTable);
  const columns = connection.all<{ readonly name: string }>(
    `select "name" from pragma_table_info('schemaVersion')`,
    [],
  );
  if (!columns.some(({ name }) => name === "oldest"))
    connection.database.exec(`alter table "schemaVersion" add column "oldest" integer`);
}

export function schemaVersion(connection: Connection): number {
  const rows = connection.all<{ readonly version: number | null }>(
    `select max("version") as "version" from "schemaVersion"`,
    [],
  );
  return rows[0]?.version ?? 0;
}

function apply(connection: Connection, migration: Migration, now: string): void {
  const { database } = connection;
  database.exec("begin immediate");
  try {
    for (const text of migration.statements(ddl)) database.exec(text);
    connection.change(addVersion, versionRow(migration, now));
    database.exec("commit");
  } catch (error) {
    if (database.isTransaction) database.exec("rollback");
    throw error;
  }
}
