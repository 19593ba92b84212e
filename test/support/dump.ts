import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** Of these only their owners write, and time itself changes them. */
const ownAffairs = ["worker"];

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

/** Names of the tables that differ. */
export function differences(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): readonly string[] {
  return [...after.keys()].filter((table) => before.get(table) !== after.get(table));
}
