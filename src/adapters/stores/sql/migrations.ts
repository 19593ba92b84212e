import type { Ddl } from "./migrations/ddl.ts";
import { firstTables } from "./migrations/0001-first-tables.ts";
import { workersTable } from "./migrations/0002-workers.ts";
import { manyReplicas } from "./migrations/0003-many-replicas.ts";
import { bus } from "./migrations/0004-bus.ts";
import { labels } from "./migrations/0005-labels.ts";

export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly statements: (ddl: Ddl) => readonly string[];
}

/** In order. A migration that has been released is never changed. They expand; what they replace goes in a later version. */
export const migrations: readonly Migration[] = [
  { version: 1, name: "first tables", statements: firstTables },
  { version: 2, name: "workers", statements: workersTable },
  { version: 3, name: "many replicas", statements: manyReplicas },
  { version: 4, name: "message bus", statements: bus },
  { version: 5, name: "labels of steps and groups", statements: labels },
];
