import { accessSync, constants, globSync } from "node:fs";
import { delimiter, join } from "node:path";

/** The directory of PostgreSQL's programs (initdb, postgres, pg_basebackup …) on this machine, or null. */
export function postgresPrograms(): string | null {
  const folders = [
    process.env["GLASSHOUSE_POSTGRES_BIN"] ?? "",
    // Debian keeps them out of PATH, by major version; the newest wins.
    ...globSync("/usr/lib/postgresql/*/bin").toSorted(byVersion),
    ...(process.env["PATH"] ?? "").split(delimiter),
  ];
  return folders.find((folder) => folder !== "" && holdsServer(folder)) ?? null;
}

/** Why tests with a real PostgreSQL cannot run here, for a test's `skip`, or false. Under CI a missing one fails its tests. */
export const postgresSkip: string | false =
  postgresPrograms() === null &&
  process.env["CI"] !== "true" &&
  "missing: postgresql (npm run tools)";

function holdsServer(folder: string): boolean {
  return ["initdb", "postgres"].every((name) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function byVersion(a: string, b: string): number {
  return Number(/\d+/u.exec(b)?.[0] ?? 0) - Number(/\d+/u.exec(a)?.[0] ?? 0);
}
