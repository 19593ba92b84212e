/**
 * How far the index of search follows the journal. While `filling` names a noun, all of it that comes after an id is gone through as
 * well: what is older than the journal, once. A program of before indexes in its own commits and does not know of this: when it is
 * started, it is to go through all (`searchFill`), as after each worker that does not say of itself that it indexes.
 */
export function searchPosition(): readonly string[] {
  return [
    `create table "searchPosition" ("position" integer not null, "filling" text, "after" text not null)`,
    `insert into "searchPosition" ("position", "filling", "after")
     select coalesce((select max("position") from "event"), 0),
       case when exists (select 1 from "template") or exists (select 1 from "environment") then 'template' end, ''`,
    `insert into "searchFill" ("noun", "after") select "filling", '' from "searchPosition" where "filling" is not null
     union all select 'environment', '' from "searchPosition" where "filling" is not null
     on conflict ("noun") do nothing`,
  ];
}
