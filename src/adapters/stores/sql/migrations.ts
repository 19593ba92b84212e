import { GlasshouseError } from "../../../domain/errors.ts";
import type { Log } from "../../../ports/telemetry.ts";
import type { Ddl } from "./migrations/ddl.ts";
import { firstTables } from "./migrations/0001-first-tables.ts";
import { workersTable } from "./migrations/0002-workers.ts";
import { manyReplicas } from "./migrations/0003-many-replicas.ts";
import { bus } from "./migrations/0004-bus.ts";
import { labels } from "./migrations/0005-labels.ts";
import { ownedSecrets } from "./migrations/0006-owned-secrets.ts";
import { runningSteps } from "./migrations/0007-running-steps.ts";
import { lostChecks } from "./migrations/0008-lost-checks.ts";
import { certificates } from "./migrations/0009-certificates.ts";
import { search } from "./migrations/0011-search.ts";
import { changingRows } from "./migrations/0012-changing-rows.ts";
import { searchPosition } from "./migrations/0013-search-position.ts";
import { openSteps } from "./migrations/0014-open-steps.ts";
import { foreseenEnds } from "./migrations/0015-foreseen-ends.ts";
import { loans } from "./migrations/0010-loans.ts";

export interface Migration {
  readonly version: number;
  readonly name: string;
  /**
   * The oldest program that still works with the result, by the newest schema that it knows: usually one less, as
   * migrations expand. Its own version when none that is older does, which is what counts unless it is given.
   */
  readonly oldest?: number;
  readonly statements: (ddl: Ddl) => readonly string[];
}

/** In order. A migration that has been released is never changed. They expand; what they replace goes in a later version. */
export const migrations: readonly Migration[] = [
  { version: 1, name: "first tables", statements: firstTables },
  { version: 2, name: "workers", statements: workersTable },
  { version: 3, name: "many replicas", statements: manyReplicas },
  { version: 4, name: "message bus", statements: bus },
  { version: 5, name: "labels of steps and groups", statements: labels },
  { version: 6, name: "declared secrets", statements: ownedSecrets },
  { version: 7, name: "index of running steps", oldest: 6, statements: runningSteps },
  { version: 8, name: "checks that cannot be looked at", oldest: 6, statements: lostChecks },
  { version: 9, name: "certificates", statements: certificates },
  { version: 10, name: "lent credentials", oldest: 9, statements: loans },
  { version: 11, name: "search", oldest: 10, statements: search },
  { version: 12, name: "room for rows that change", oldest: 11, statements: changingRows },
  { version: 13, name: "position of search", oldest: 11, statements: searchPosition },
  { version: 14, name: "condition of the index of open steps", oldest: 11, statements: openSteps },
  { version: 15, name: "ends of steps as foreseen", oldest: 11, statements: foreseenEnds },
];

/** Where it is kept which changes a database has seen. The last column says of which programs it wants to be used since. */
export const schemaVersionTable = `create table if not exists "schemaVersion" (
  "version" integer primary key, "name" text not null, "appliedAt" text not null, "oldest" integer)`;

/** Takes a version; answers with the oldest program that the changes after it allow. */
export const oldestAfter = `select max(coalesce("oldest", "version")) as "oldest" from "schemaVersion" where "version" > ?`;

export const addVersion = `insert into "schemaVersion" ("version", "name", "appliedAt", "oldest") values (?, ?, ?, ?)`;

/** The values of `addVersion`. */
export function versionRow(migration: Migration, now: string): [number, string, string, number] {
  return [migration.version, migration.name, now, migration.oldest ?? migration.version];
}

/** A line for each change of a database that was there; how a new one came about is nobody's concern. */
export function sayChanged(
  log: Log,
  { present, applied }: { readonly present: number; readonly applied: readonly Migration[] },
): void {
  if (present === 0) log.info("Database schema made", { version: applied.at(-1)?.version ?? 0 });
  else
    for (const { version, name } of applied) log.info("Database schema changed", { version, name });
}

/**
 * What to say when the database is at a newer schema than this program knows, and its changes let it work all the same.
 * Errors: `conflict` when they do not.
 */
export function worksWith(of: {
  readonly present: number;
  readonly newest: number;
  /** As `oldestAfter` answers. */
  readonly oldest: number;
}): string {
  if (of.oldest > of.newest) {
    throw new GlasshouseError(
      "conflict",
      `The database has schema ${of.present}, and this program knows schemas up to ${of.newest}. ` +
        "Start the program that wrote it, or restore a backup that was made before the upgrade.",
    );
  }
  return "The database was written by a newer program, and this one works with it as well";
}
