import type { Ddl } from "./ddl.ts";

/**
 * What can be found, a row each, with its words. Rows of resources and of what was observed go with those they are about.
 * `searchFill` and `searchWriter` are for programs of this version alone, which index in their own commits and go through all that
 * `searchFill` names when they start; since 0013 the index follows the journal.
 */
export function search(ddl: Ddl): readonly string[] {
  return [
    `create table "document" (
      "number" ${ddl.identity}, "kind" text not null, "subjectId" text,
      "resourceId" text references "resource" ("id") on delete cascade,
      "environmentId" text, "template" text, "group" text, "address" text,
      ${ddl.fullText === "fts5" ? `"name" text not null, "words" text not null` : `"words" tsvector not null`},
      foreign key ("environmentId", "template", "group", "address")
        references "observed" ("environmentId", "template", "group", "address") on delete cascade)`,
    // Each kind has its own key: a row costs the index of that alone.
    `create unique index "documentSubject" on "document" ("subjectId") where "subjectId" is not null`,
    `create unique index "documentResource" on "document" ("resourceId") where "resourceId" is not null`,
    `create unique index "documentObserved" on "document" ("environmentId", "template", "group", "address")
      where "environmentId" is not null`,
    ...(ddl.fullText === "fts5"
      ? fts5()
      : [`create index "documentWords" on "document" using gin ("words")`]),
    `create table "searchFill" ("noun" text primary key, "after" text not null)`,
    `insert into "searchFill" ("noun", "after") select 'template', '' where exists (select 1 from "template")`,
    `insert into "searchFill" ("noun", "after") select 'environment', '' where exists (select 1 from "environment")`,
    `create table "searchWriter" ("worker" text primary key, "startedAt" text not null)`,
    ...(ddl.fullText === "fts5" ? marks() : marksByFunctions()),
  ];
}

/** All is to be gone through again, unless a worker's program has said that it indexes, for this start of it. */
const mark = (row: string): string => `insert into "searchFill" ("noun", "after")
      select n."noun", '' from (select 'template' as "noun" union all select 'environment') n
      where not exists (select 1 from "searchWriter" w
        where w."worker" = ${row}."id" and w."startedAt" = ${row}."startedAt")
      on conflict ("noun") do update set "after" = '';`;

/**
 * Programs of before and after this version work with these tables too, and do not index in their commits. Their workers are known
 * by what they do not say of themselves: when one begins, ends or is forgotten, the next start of a program of this version goes
 * through all again.
 */
function marks(): readonly string[] {
  return [
    `create trigger "workerBegan" after insert on "worker" begin ${mark("new")} end`,
    `create trigger "workerChanged" after update of "startedAt", "status" on "worker" begin ${mark("new")} end`,
    `create trigger "workerForgotten" after delete on "worker"
      begin ${mark("old")} delete from "searchWriter" where "worker" = old."id"; end`,
  ];
}

function marksByFunctions(): readonly string[] {
  return [
    `create function "workerIndexes"() returns trigger language plpgsql as $$ begin
      if tg_op = 'DELETE' then
        ${mark("old")}
        delete from "searchWriter" where "worker" = old."id";
      else
        ${mark("new")}
      end if;
      return null; end $$`,
    `create trigger "workerChanged" after insert or delete or update of "startedAt", "status" on "worker"
      for each row execute function "workerIndexes"()`,
  ];
}

/** The index follows the table by triggers. Words come split and folded: the tokenizer has nothing to decide. */
function fts5(): readonly string[] {
  const gone = `insert into "documentText" ("documentText", "rowid", "name", "words")
      values ('delete', old."number", old."name", old."words");`;
  const added = `insert into "documentText" ("rowid", "name", "words")
      values (new."number", new."name", new."words");`;
  return [
    `create virtual table "documentText" using fts5("name", "words", content='document', content_rowid='number',
      columnsize=0, tokenize="ascii tokenchars '_'")`,
    `create trigger "documentAdded" after insert on "document" begin ${added} end`,
    `create trigger "documentGone" after delete on "document" begin ${gone} end`,
    `create trigger "documentChanged" after update of "name", "words" on "document" begin ${gone} ${added} end`,
  ];
}
