import type { Ddl } from "./ddl.ts";

/** A row a process: few, so nothing but the key is indexed. */
export function workersTable({ keyOrdered }: Ddl): readonly string[] {
  return [
    `create table "worker" (
      "id" text primary key, "labels" text not null, "process" text not null, "version" text not null,
      "startedAt" text not null, "status" text not null, "leaseEndsAt" text)${keyOrdered}`,
  ];
}
