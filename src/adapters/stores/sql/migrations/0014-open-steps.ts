import type { Ddl } from "./ddl.ts";

/**
 * The index of open steps, with another condition that says the same: for a list of more than two SQLite makes a table each time
 * that a statement changes a status, and fills it twice. A program of before finds open steps without this index, among all of
 * their run's.
 */
export function openSteps({ shared }: Ddl): readonly string[] {
  if (shared) return [];
  return [
    `drop index "stepOpen"`,
    `create index "stepOpen" on "step" ("runId", "status")
      where ("status" = 'ready' or "status" = 'running' or "status" = 'unknown' or "status" = 'waiting' or "status" = 'failed')`,
  ];
}
