import type { Ddl } from "./ddl.ts";

/** What was declared before were secrets all. The authority is the embedded one; the key of its certificate is sealed. */
export function certificates({ bytes, keyOrdered }: Ddl): readonly string[] {
  return [
    `alter table "ownedSecret" add column "kind" text not null default 'secret'`,
    `alter table "ownedSecret" add column "certificate" text not null default 'null'`,
    `alter table "ownedSecret" add column "expiresAt" text`,
    `create index "certificateEnds" on "ownedSecret" ("expiresAt") where "expiresAt" is not null`,
    `create table "authority" (
      "name" text primary key, "certificate" text not null, "sealed" ${bytes} not null, "createdAt" text not null)`,
    `create table "revokedCertificate" (
      "serial" text primary key, "notAfter" text not null, "revokedAt" text not null)${keyOrdered}`,
  ];
}
