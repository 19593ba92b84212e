import type { Log } from "../../../ports/telemetry.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import { migrations } from "../sql/migrations.ts";
import type { Migration } from "../sql/migrations.ts";
import type { Ddl } from "../sql/migrations/ddl.ts";
import type { Connection } from "./connection.ts";

const ddl: Ddl = {
  identity: "integer primary key autoincrement",
  rising: "integer primary key",
  bytes: "blob",
  boolean: "integer",
  keyOrdered: " without rowid",
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
 * when the database was written by a newer program.
 */
export function migrate(connection: Connection, options: MigrateOptions): void {
  const known = options.migrations ?? migrations;
  connection.database.exec(
    `create table if not exists "schemaVersion" (
       "version" integer primary key, "name" text not null, "appliedAt" text not null)`,
  );
  const present = schemaVersion(connection);
  const newest = known.at(-1)?.version ?? 0;
  if (present > newest) {
    throw new GlasshouseError(
      "conflict",
      `The database has schema ${present}, and this program knows schemas up to ${newest}. ` +
        "Start the program that wrote it, or restore a backup that was made before the upgrade.",
    );
  }
  const missing = known.filter((migration) => migration.version > present);
  if (missing.length === 0) return;
  if (present > 0) options.backUp(present);
  for (const migration of missing) apply(connection, migration, options);
}

export function schemaVersion(connection: Connection): number {
  const rows = connection.all<{ readonly version: number | null }>(
    `select max("version") as "version" from "schemaVersion"`,
    [],
  );
  return rows[0]?.version ?? 0;
}

function apply(connection: Connection, migration: Migration, { log, now }: MigrateOptions): void {
  const { database } = connection;
  database.exec("begin immediate");
  try {
    for (const text of migration.statements(ddl)) database.exec(text);
    connection.change(
      `insert into "schemaVersion" ("version", "name", "appliedAt") values (?, ?, ?)`,
      [migration.version, migration.name, now],
    );
    database.exec("commit");
  } catch (error) {
    if (database.isTransaction) database.exec("rollback");
    throw error;
  }
  log.info("Database schema changed", { version: migration.version, name: migration.name });
}
