import type { Ddl } from "./ddl.ts";

/**
 * Rows that are changed again and again. A change that has room in its page and touches no column of an index costs none of the
 * table's indexes a new entry: in new pages of these tables there is room. No step is ever sought by its number alone, and each
 * of its changes touches an index of status, so that it costs all of them one. Edges and attempts are written together with the
 * steps that they name, or after them by whoever has just read these, and steps stay: to look each of them up and lock it again
 * found nothing in all that time. Where one process writes, the same statements are checked still.
 */
export function changingRows({ shared }: Ddl): readonly string[] {
  if (!shared) return [];
  return [
    `alter table "environment" set (fillfactor = 50)`,
    `alter table "run" set (fillfactor = 50)`,
    `alter table "attempt" set (fillfactor = 60)`,
    `alter table "step" drop constraint if exists "step_pkey"`,
    `alter table "stepEdge" drop constraint if exists "stepEdge_upstreamId_fkey"`,
    `alter table "stepEdge" drop constraint if exists "stepEdge_stepId_fkey"`,
    `alter table "attempt" drop constraint if exists "attempt_stepId_fkey"`,
    `alter table "step" replica identity using index "step_id_key"`,
  ];
}
