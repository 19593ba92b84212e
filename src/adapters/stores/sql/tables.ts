import type { ColumnType, Generated } from "kysely";
import type { CheckState } from "../../../domain/check.ts";
import type { Command } from "../../../domain/command.ts";
import type { Environment } from "../../../domain/environment.ts";
import type { JournalEvent } from "../../../domain/event.ts";
import type { RecordedLoan } from "../../../domain/loan.ts";
import type { SavedPlan } from "../../../domain/plan.ts";
import type { GroupRecord } from "../../../domain/record.ts";
import type { ObservedResource, Resource } from "../../../domain/resource.ts";
import type { Run } from "../../../domain/run.ts";
import type { OwnedSecret } from "../../../domain/secret.ts";
import type { Attempt, Step } from "../../../domain/step.ts";
import type { Template } from "../../../domain/template.ts";
import type { Worker } from "../../../domain/worker.ts";
import type {
  AuditEntry,
  GroupPlace,
  RevokedCertificate,
  SealedSecret,
  StateVersion,
  StoredAuthority,
} from "../../../ports/repositories.ts";
import type { LogLine } from "../../../ports/work.ts";
import type { JsonText } from "./json.ts";

/**
 * Columns carry the names of the nouns' members, so a row is the noun with its nested parts as JSON text and no mapping
 * lies between. Ids and times are text. `number` is the order of insertion; lists page by it.
 */
export interface Tables {
  readonly template: Numbered & Row<Template, "tags" | "source" | "body" | "files">;
  readonly environment: Numbered &
    Row<
      Environment,
      "tags" | "failure" | "desired" | "outputs" | "entrypoints" | "requires",
      "outdated" | "drifted" | "prospective"
    >;
  readonly requirement: { readonly environmentId: string; readonly requiredId: string };
  readonly command: Numbered & Row<Command, "data" | "failure" | "reply">;
  readonly run: Numbered &
    Row<Omit<Run, "progress">, "blocker" | "failure" | "desired" | "options", "killRequested"> & {
      readonly parallelism: number;
      readonly done: number;
      readonly total: number;
      readonly failed: number;
      readonly skipped: number;
      /** 1 once retention has removed the logs of its steps. */
      readonly logsPruned: number;
    };
  readonly environmentUse: { readonly runId: string; readonly environmentId: string };
  readonly step: Numbered &
    Row<Step, "failure" | "retry" | "runsOn" | "changes" | "input"> & {
      /** What its place is counted by (the executor, or `check`), then the labels that it asks for, joined by `+`. */
      readonly lane: string;
      /** 1 while a worker may claim it: ready or unknown, due, of a running run. The index of claims holds only these. */
      readonly offered: number;
    };
  readonly stepEdge: {
    readonly runId: string;
    readonly upstreamId: string;
    readonly stepId: string;
  };
  readonly attempt: Row<Attempt, "failure" | "child" | "notes">;
  readonly groupRecord: Row<
    GroupRecord,
    "upstreams" | "settings" | "outputs" | "memory" | "runsOn"
  >;
  readonly resource: Numbered &
    Row<Resource, "tags" | "links" | "checks" | "dependsOn" | "external">;
  readonly resourceEdge: {
    readonly environmentId: string;
    readonly template: string;
    readonly group: string;
    readonly fromResource: string;
    readonly toResource: string;
    readonly kind: "resource" | "external";
  };
  readonly observed: GroupPlace &
    Row<ObservedResource, "attributes"> & { readonly observedAt: string };
  readonly checkState: CheckState;
  readonly secret: Numbered & SealedSecret;
  readonly ownedSecret: Row<OwnedSecret, "certificate"> & { readonly expiresAt: string | null };
  readonly authority: StoredAuthority;
  readonly revokedCertificate: RevokedCertificate;
  readonly loan: RecordedLoan;
  readonly stateVersion: StateVersion;
  readonly plan: Numbered & Row<SavedPlan, "desired" | "basis" | "plan">;
  readonly event: Row<Omit<JournalEvent, "position">, "data"> & {
    readonly position: Generated<number>;
  };
  readonly log: LogLine & { readonly stepId: string };
  readonly relay: RelayRow;
  readonly audit: Numbered & Row<AuditEntry, "detail">;
  readonly worker: Row<Worker, "labels" | "process">;
}

/** A reader of the journal that passes on what it reads: its owner, and how far it is. */
interface RelayRow {
  readonly name: string;
  readonly position: number;
  readonly owner: string;
  readonly token: number;
  readonly leaseEndsAt: string;
}

interface Numbered {
  readonly number: Generated<number>;
}

/** A noun as a row: `J` are JSON text; `B` are yes or no, which SQLite gives back as 0 and 1. */
type Row<T, J extends keyof T = never, B extends keyof T = never> = {
  readonly [K in keyof T]: K extends J
    ? JsonText<T[K]>
    : K extends B
      ? ColumnType<boolean | number, boolean, boolean>
      : T[K];
};
