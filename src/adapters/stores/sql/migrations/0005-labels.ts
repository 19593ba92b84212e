/** What steps and groups ask of their worker. Those of before ask for nothing. */
export function labels(): readonly string[] {
  return [
    `alter table "step" add column "runsOn" text not null default '[]'`,
    `alter table "groupRecord" add column "runsOn" text not null default '[]'`,
    `create index "groupRecordLabelled" on "groupRecord" ("environmentId", "template", "group") where "runsOn" <> '[]'`,
  ];
}
