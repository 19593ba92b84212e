import type { Ddl } from "./ddl.ts";

/**
 * What can be found, a row each, with its words. Rows of resources and of what was observed go with those they are about. What
 * was there before is indexed at the start after it (`fill`); `searchFill` says how far that is.
 */
export function search(ddl: Ddl): readonly string[] {
  return [
    `create table "document" (
      "number" ${ddl.identity}, "kind" text not null, "subjectId" text unique,
      "resourceId" text unique references "resource" ("id") on delete cascade,
      "environmentId" text, "template" text, "group" text, "address" text,
      ${ddl.fullText === "fts5" ? `"name" text not null, "words" text not null` : `"words" tsvector not null`},
      unique ("environmentId", "template", "group", "address"),
      foreign key ("environmentId", "template", "group", "address")
        references "observed" ("environmentId", "template", "group", "address") on delete cascade)`,
    ...(ddl.fullText === "fts5"
      ? fts5()
      : [`create index "documentWords" on "document" using gin ("words")`]),
    `create table "searchFill" ("noun" text primary key, "after" text not null)`,
    `insert into "searchFill" ("noun", "after") select 'template', '' where exists (select 1 from "template")`,
    `insert into "searchFill" ("noun", "after") select 'environment', '' where exists (select 1 from "environment")`,
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
