import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { TestPostgres } from "./postgres.ts";

/** What a process writes about itself and its transactions, not about anybody's steps. */
const ownAffairs = ["worker", "commitMark"];

/** Every row of every table, as text, so that two moments can be compared. */
export function sqliteDump(directory: string): ReadonlyMap<string, string> {
  const database = new DatabaseSync(join(directory, "glasshouse.db"), { readOnly: true });
  try {
    const tables = database
      .prepare("select name from sqlite_schema where type = 'table' and name not like 'sqlite%'")
      .all()
      .map(({ name }) => String(name))
      .filter((name) => !ownAffairs.includes(name));
    return new Map(
      tables.map((table) => {
        const rows = database.prepare(`select * from "${table}"`).all();
        return [
          table,
          rows
            .map((row) => JSON.stringify(row))
            .toSorted()
            .join("\n"),
        ] as const;
      }),
    );
  } finally {
    database.close();
  }
}

/** As `sqliteDump`. */
export async function postgresDump(
  server: TestPostgres,
  database: string,
): Promise<ReadonlyMap<string, string>> {
  const tables = await server.query(
    "select table_name as name from information_schema.tables where table_schema = 'public'",
    database,
  );
  const names = tables.map(({ name }) => String(name)).filter((name) => !ownAffairs.includes(name));
  // One statement, so one connection and one snapshot.
  const parts = names.map(
    (name) => `select '${name}' as name, to_jsonb(t)::text as row from "${name}" t`,
  );
  const rows = await server.query(parts.join(" union all "), database);
  const lines = Map.groupBy(rows, ({ name }) => String(name));
  const textOf = (name: string): string =>
    (lines.get(name) ?? [])
      .map(({ row }) => String(row))
      .toSorted()
      .join("\n");
  return new Map(names.map((name) => [name, textOf(name)]));
}

/** Names of the tables that differ. */
export function differences(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): readonly string[] {
  return [...after.keys()].filter((table) => before.get(table) !== after.get(table));
}
