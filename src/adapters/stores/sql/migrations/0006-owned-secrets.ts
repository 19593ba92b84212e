import type { Ddl } from "./ddl.ts";

/** What is kept of the secrets that templates declare. Values of before are all in the embedded sealed store. */
export function ownedSecrets({ keyOrdered }: Ddl): readonly string[] {
  return [
    `alter table "secret" add column "keeper" text not null default 'embedded'`,
    `create table "ownedSecret" (
      "environmentId" text not null, "template" text not null, "name" text not null, "version" integer not null,
      "rotation" integer not null, "secretId" text not null, "fingerprint" text not null, "keeper" text not null,
      "createdAt" text not null, "rotatedAt" text not null, "rotateAt" text,
      primary key ("environmentId", "template", "name"))${keyOrdered}`,
    `create index "ownedSecretDue" on "ownedSecret" ("rotateAt") where "rotateAt" is not null`,
  ];
}
