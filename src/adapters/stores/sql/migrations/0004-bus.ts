import type { Ddl } from "./ddl.ts";

/** Commands of before came from nobody that was vouched for, and nobody waits for an answer. */
export function bus({ keyOrdered }: Ddl): readonly string[] {
  return [
    `alter table "command" add column "sender" text`,
    `alter table "command" add column "reply" text not null default 'null'`,
    `create table "relay" (
      "name" text primary key, "position" bigint not null, "owner" text not null, "token" bigint not null,
      "leaseEndsAt" text not null)${keyOrdered}`,
  ];
}
