import type { Ddl } from "./ddl.ts";

export function firstTables(ddl: Ddl): readonly string[] {
  return [
    ...templatesAndEnvironments(ddl),
    ...commandsAndRuns(ddl),
    ...steps(ddl),
    ...groups(ddl),
    ...plansAndJournal(ddl),
  ];
}

function templatesAndEnvironments({ identity, boolean, keyOrdered }: Ddl): readonly string[] {
  return [
    `create table "template" (
      "number" ${identity}, "id" text not null unique, "name" text not null, "version" text not null,
      "status" text not null, "description" text not null, "tags" text not null, "source" text not null,
      "digest" text not null, "body" text not null, "files" text not null, "createdAt" text not null,
      unique ("name", "version"))`,
    `create table "environment" (
      "number" ${identity}, "id" text not null unique, "name" text not null, "description" text not null,
      "tags" text not null, "status" text not null, "reason" text, "failure" text not null, "desired" text not null,
      "generation" integer not null, "appliedGeneration" integer not null, "activeRun" text, "sequence" integer not null,
      "outputs" text not null, "entrypoints" text not null, "requires" text not null, "outdated" ${boolean} not null,
      "drifted" ${boolean} not null, "prospective" ${boolean} not null, "createdAt" text not null, "updatedAt" text not null,
      "plannedDestructionAt" text, "destroyedAt" text)`,
    `create unique index "environmentLivingName" on "environment" ("name")
      where "status" <> 'destroyed' and not "prospective"`,
    `create index "environmentName" on "environment" ("name", "number")`,
    `create index "environmentStatus" on "environment" ("status", "number")`,
    `create index "environmentDue" on "environment" ("plannedDestructionAt")
      where "status" <> 'destroyed' and "plannedDestructionAt" is not null`,
    `create table "requirement" (
      "environmentId" text not null, "requiredId" text not null, primary key ("environmentId", "requiredId"))${keyOrdered}`,
    `create index "requirementBack" on "requirement" ("requiredId", "environmentId")`,
  ];
}

function commandsAndRuns({ identity, boolean, keyOrdered }: Ddl): readonly string[] {
  return [
    `create table "command" (
      "number" ${identity}, "id" text not null unique, "source" text not null, "sourceId" text not null,
      "type" text not null, "subject" text, "bodyHmac" text not null, "data" text not null, "status" text not null,
      "failure" text not null, "environmentId" text, "templateId" text, "runId" text, "planId" text, "actor" text not null,
      "correlationId" text, "traceparent" text, "createdAt" text not null, "finishedAt" text,
      unique ("source", "sourceId"))`,
    `create index "commandRun" on "command" ("runId") where "runId" is not null`,
    `create index "commandCreated" on "command" ("createdAt") where "status" <> 'accepted'`,
    `create table "run" (
      "number" ${identity}, "id" text not null unique, "environmentId" text not null references "environment" ("id"),
      "kind" text not null, "status" text not null, "reason" text, "blocker" text not null, "failure" text not null,
      "desired" text not null, "generation" integer not null, "planId" text, "action" text, "options" text not null,
      "parallelism" integer not null, "formatVersion" integer not null, "attempt" integer not null, "done" integer not null,
      "total" integer not null, "failed" integer not null, "skipped" integer not null, "stage" text not null,
      "cancelRequestedAt" text, "killRequested" ${boolean} not null, "createdAt" text not null, "startedAt" text,
      "finishedAt" text, "logsPruned" integer not null)`,
    `create index "runEnvironment" on "run" ("environmentId", "number")`,
    `create index "runStatus" on "run" ("status", "number")`,
    `create index "runQueue" on "run" ("environmentId", "number") where "status" = 'queued'`,
    `create index "runInFlight" on "run" ("number") where "status" in ('running', 'waiting')`,
    `create index "runCancelling" on "run" ("number")
      where "status" in ('running', 'waiting') and "cancelRequestedAt" is not null`,
    `create index "runLogs" on "run" ("finishedAt") where "finishedAt" is not null and "logsPruned" = 0`,
    `create table "environmentUse" (
      "runId" text not null, "environmentId" text not null, primary key ("runId", "environmentId"))${keyOrdered}`,
    `create index "environmentUseBack" on "environmentUse" ("environmentId", "runId")`,
  ];
}

function steps({ identity, keyOrdered }: Ddl): readonly string[] {
  return [
    `create table "step" (
      "number" ${identity}, "id" text not null unique, "runId" text not null references "run" ("id"),
      "environmentId" text not null, "key" text not null, "phase" text not null, "template" text not null, "group" text,
      "executor" text, "lane" text not null, "status" text not null, "offered" integer not null, "reason" text,
      "failure" text not null, "waitingOn" integer not null, "token" integer not null, "worker" text,
      "attempts" integer not null, "retry" text not null, "timeoutMs" integer not null, "onFailure" text not null,
      "availableAt" text, "mark" text not null, "changes" text not null, "input" text not null, "createdAt" text not null,
      "startedAt" text, "finishedAt" text, unique ("runId", "key"))`,
    `create index "stepRun" on "step" ("runId", "number")`,
    `create index "stepOffered" on "step" ("lane", "runId", "number") where "offered" = 1`,
    `create index "stepOfferedUnknown" on "step" ("lane", "runId", "number") where "offered" = 1 and "status" = 'unknown'`,
    `create index "stepLater" on "step" ("availableAt")
      where "offered" = 0 and "availableAt" is not null and "status" in ('ready', 'unknown')`,
    `create index "stepOpen" on "step" ("runId", "status")
      where "status" in ('ready', 'running', 'unknown', 'waiting', 'failed')`,
    `create table "stepEdge" (
      "runId" text not null, "upstreamId" text not null references "step" ("id"),
      "stepId" text not null references "step" ("id"), primary key ("upstreamId", "stepId"))${keyOrdered}`,
    `create index "stepEdgeBack" on "stepEdge" ("stepId", "upstreamId")`,
    `create index "stepEdgeRun" on "stepEdge" ("runId")`,
    `create table "attempt" (
      "stepId" text not null references "step" ("id"), "token" integer not null, "worker" text not null,
      "startedAt" text not null, "finishedAt" text, "outcome" text, "failure" text not null, "child" text not null,
      "notes" text not null, primary key ("stepId", "token"))${keyOrdered}`,
  ];
}

function groups({ identity, bytes, keyOrdered }: Ddl): readonly string[] {
  return [
    `create table "groupRecord" (
      "environmentId" text not null, "template" text not null, "group" text not null, "templateId" text not null,
      "executor" text not null, "behaviour" integer not null, "status" text not null, "upstreams" text not null,
      "settings" text not null, "fingerprint" text, "outputs" text not null, "memory" text not null, "drift" text not null,
      "timeoutMs" integer not null, "appliedAt" text not null, primary key ("environmentId", "template", "group"))${keyOrdered}`,
    `create table "resource" (
      "number" ${identity}, "id" text not null unique, "environmentId" text not null, "templateId" text not null,
      "template" text not null, "group" text not null, "key" text not null, "name" text not null,
      "description" text not null, "tags" text not null, "count" integer not null, "status" text not null,
      "links" text not null, "checks" text not null, "dependsOn" text not null, "external" text not null,
      "createdAt" text not null, "updatedAt" text not null, unique ("environmentId", "template", "group", "key"))`,
    `create table "resourceEdge" (
      "environmentId" text not null, "template" text not null, "group" text not null, "fromResource" text not null,
      "toResource" text not null, "kind" text not null,
      primary key ("environmentId", "template", "fromResource", "toResource", "kind"))${keyOrdered}`,
    `create index "resourceEdgeBack" on "resourceEdge" ("environmentId", "template", "toResource")`,
    `create index "resourceEdgeExternal" on "resourceEdge" ("toResource") where "kind" = 'external'`,
    `create table "observed" (
      "environmentId" text not null, "template" text not null, "group" text not null, "address" text not null,
      "type" text not null, "externalId" text, "attributes" text not null, "observedAt" text not null,
      primary key ("environmentId", "template", "group", "address"))${keyOrdered}`,
    `create table "checkState" (
      "environmentId" text not null, "key" text not null, "status" text not null, "detail" text not null,
      "target" text not null, "checkedAt" text, primary key ("environmentId", "key"))${keyOrdered}`,
    `create table "secret" (
      "number" ${identity}, "id" text not null unique, "environmentId" text not null, "name" text not null,
      "sealed" ${bytes} not null, "fingerprint" text not null, "createdAt" text not null)`,
    `create index "secretSame" on "secret" ("environmentId", "name", "fingerprint", "number")`,
    `create table "stateVersion" (
      "environmentId" text not null, "template" text not null, "group" text not null, "version" integer not null,
      "serial" integer not null, "lineage" text not null, "blob" text not null, "createdAt" text not null,
      primary key ("environmentId", "template", "group", "version"))${keyOrdered}`,
  ];
}

function plansAndJournal({ identity, rising, keyOrdered }: Ddl): readonly string[] {
  return [
    `create table "plan" (
      "number" ${identity}, "id" text not null unique, "environmentId" text not null, "runId" text not null,
      "kind" text not null, "status" text not null, "desired" text not null, "basis" text not null, "plan" text not null,
      "createdAt" text not null, "expiresAt" text not null)`,
    `create index "planEnvironment" on "plan" ("environmentId", "number")`,
    `create index "planExpires" on "plan" ("expiresAt")`,
    `create table "event" (
      "position" ${rising}, "id" text not null, "type" text not null, "environmentId" text, "sequence" integer not null,
      "subject" text not null, "data" text not null, "commandId" text, "runId" text, "stepId" text, "time" text not null)`,
    `create index "eventEnvironment" on "event" ("environmentId", "position") where "environmentId" is not null`,
    `create table "log" (
      "stepId" text not null, "number" integer not null, "token" integer not null, "time" text not null,
      "text" text not null, primary key ("stepId", "number"))${keyOrdered}`,
    `create table "audit" (
      "number" ${identity}, "id" text not null, "time" text not null, "actor" text not null, "action" text not null,
      "subject" text not null, "commandId" text, "detail" text not null)`,
  ];
}
