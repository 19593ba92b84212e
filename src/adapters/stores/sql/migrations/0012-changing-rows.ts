import type { Ddl } from "./ddl.ts";

/**
 * Rows that are changed again and again. A change that has room in its page and touches no column of an index costs none of the
 * table's indexes a new entry: in new pages of these tables there is room. No step is ever sought by its number alone, and each
 * of its changes touches an index of status, so that it costs all of them one.
 */
export function changingRows({ shared }: Ddl): readonly string[] {
  if (!shared) return [];
  return [
    `alter table "environment" set (fillfactor = 50)`,
    `alter table "run" set (fillfactor = 50)`,
    `alter table "attempt" set (fillfactor = 60)`,
    `alter table "step" drop constraint if exists "step_pkey"`,
    `alter table "step" replica identity using index "step_id_key"`,
  ];
}
