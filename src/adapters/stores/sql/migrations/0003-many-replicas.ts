import type { Ddl } from "./ddl.ts";

/** What several processes on one database need beside the tables: nothing where there is one. */
export function manyReplicas({ shared }: Ddl): readonly string[] {
  return shared ? [...positions(), ...commitMarks(), ...files()] : [];
}

/**
 * `numberEvents` gives positions to what has been committed since, in the order of insertion, which within an environment
 * is that of its sequence. Who numbers holds the row of the next position: one at a time, whoever it is, and a process that
 * dies leaves nothing behind, as one call is one transaction. In plpgsql each statement sees what was committed before it,
 * so after the wait for that row nothing that is older is missed.
 */
function positions(): readonly string[] {
  return [
    `create table "journalPosition" ("only" boolean primary key default true check ("only"), "next" bigint not null)`,
    `insert into "journalPosition" ("next") values (1)`,
    `create unique index "eventPosition" on "event" ("position") where "position" is not null`,
    `create index "eventUnnumbered" on "event" ("number") where "position" is null`,
    `drop index "eventEnvironment"`,
    `create index "eventEnvironment" on "event" ("environmentId", "position")
      where "environmentId" is not null and "position" is not null`,
    `create function "numberEvents"("most" bigint, "by" text) returns bigint language plpgsql as $$
      declare "first" bigint; "count" bigint;
      begin
        if not exists (select 1 from "event" where "position" is null) then return 0; end if;
        select "next" into strict "first" from "journalPosition" for update;
        update "event" set "position" = "first" + "fresh"."rank"
          from (select "number", row_number() over (order by "number") - 1 as "rank" from "event"
                where "position" is null order by "number" limit "most") "fresh"
          where "event"."number" = "fresh"."number";
        get diagnostics "count" = row_count;
        if "count" > 0 then
          update "journalPosition" set "next" = "next" + "count";
          perform pg_notify('glasshouse', "by" || ' journal');
        end if;
        return "count";
      end $$`,
  ];
}

/**
 * The newest commit of each connection, written in the transaction that it marks. When the connection is lost while it
 * commits, the mark tells whether it took effect: it goes wherever the transaction goes, also to a standby that takes over.
 * Who asks closes the row first, so that a commit that is still under way fails instead of coming after the answer.
 */
function commitMarks(): readonly string[] {
  return [
    `create table "commitMark" ("connection" text primary key, "number" bigint not null check ("number" >= 0),
      "closed" boolean not null, "at" timestamptz not null) with (fillfactor = 50)`,
  ];
}

/** Template files, states and plans, and the wrapped key that they and the secrets are sealed with. */
function files(): readonly string[] {
  return [
    `create table "blob" ("digest" text primary key, "isSealed" boolean not null, "content" bytea not null,
      "putAt" timestamptz not null)`,
    `alter table "blob" alter column "content" set storage external`,
    `create table "dataKey" ("only" boolean primary key default true check ("only"), "wrapped" bytea not null)`,
  ];
}
