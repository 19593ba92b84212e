import type { CheckState } from "../domain/check.ts";
import type { Command } from "../domain/command.ts";
import type { Environment, EnvironmentStatus } from "../domain/environment.ts";
import type { Failure } from "../domain/errors.ts";
import type { AppendedEvent, EventType, JournalEvent, NewEvent } from "../domain/event.ts";
import type { SavedPlan } from "../domain/plan.ts";
import type { GroupRecord } from "../domain/record.ts";
import type { RecordedLoan } from "../domain/loan.ts";
import type { OwnedSecret } from "../domain/secret.ts";
import type { ObservedResource, Resource } from "../domain/resource.ts";
import type { Template, TemplateStatus } from "../domain/template.ts";
import type { Json } from "../lib/json.ts";
import type { Page, PageRequest } from "./page.ts";

/** A template without its body and files, for lists. */
export type TemplateSummary = Omit<Template, "body" | "files">;

/** What of a version decides whether it is the one that a name means, and whether it is still the same. */
export type TemplateMark = Pick<Template, "id" | "version" | "status" | "digest">;

export interface TemplateRepository {
  /** Errors: `already-exists` when name and version are taken. */
  insert(template: Template): Promise<void>;
  /** Puts other content under a draft's name and version (and id). */
  replaceDraft(template: Template): Promise<void>;
  setStatus(id: string, status: TemplateStatus): Promise<void>;
  get(id: string): Promise<Template | null>;
  find(name: string, version: string): Promise<Template | null>;
  summary(id: string): Promise<TemplateSummary | null>;
  /** All versions of a name, in order of registration. */
  versions(name: string): Promise<readonly TemplateSummary[]>;
  /** The same in short: for those who only ask whether anything has changed. */
  marks(name: string): Promise<readonly TemplateMark[]>;
  /** By name, then order of registration. */
  list(page: PageRequest): Promise<Page<TemplateSummary>>;
  /** Digests of the blobs that any template uses. */
  blobDigests(): Promise<readonly string[]>;
}

export interface EnvironmentRepository {
  /** Errors, here or of the transaction: `already-exists` when a living environment has the name. */
  insert(environment: Environment): Promise<void>;
  get(id: string): Promise<Environment | null>;
  /** By id (a prospective one too), else the living one of this name, else the latest destroyed one of this name. */
  find(idOrName: string): Promise<Environment | null>;
  /** Changes the named members only. Sequence is changed by events alone. `updatedAt` is the caller's to set. */
  update(id: string, patch: Partial<Omit<Environment, "id" | "sequence">>): Promise<void>;
  /** Newest first, without prospective ones. */
  list(filter: EnvironmentFilter, page: PageRequest): Promise<Page<Environment>>;
  /** Living environments whose planned destruction is at or before `now`. */
  due(now: string, limit: number): Promise<readonly Environment[]>;
  /** Earliest planned destruction of a living environment after `now`, or null. */
  nextDue(now: string): Promise<string | null>;
  /** Living environments that require this one. */
  requiring(id: string): Promise<readonly Environment[]>;
  /**
   * From here to the end of the transaction no other one changes which environments require which. Call it before looking
   * at requirements that the transaction adds to. In a read it does nothing.
   */
  holdRequirements(): Promise<void>;
  /** All requirements between living environments: [the one that requires, the required one]. */
  requirementEdges(): Promise<readonly (readonly [string, string])[]>;
}

export interface EnvironmentFilter {
  readonly status?: EnvironmentStatus;
  /** Destroyed ones are left out unless this is set or `status` asks for them. */
  readonly includeDestroyed?: boolean;
}

/** The inbox. */
export interface CommandRepository {
  /** Errors, here or of the transaction: `already-exists` when there is one with its source and id. */
  insert(command: Command): Promise<void>;
  get(id: string): Promise<Command | null>;
  bySource(source: string, sourceId: string): Promise<Command | null>;
  update(
    id: string,
    patch: Partial<
      Pick<
        Command,
        "status" | "failure" | "environmentId" | "templateId" | "runId" | "planId" | "finishedAt"
      >
    >,
  ): Promise<void>;
  /** Ends every command of the run that has not ended, and returns them as they are now. */
  settleRun(
    runId: string,
    outcome: {
      readonly status: Command["status"];
      readonly failure: Failure | null;
      readonly finishedAt: string;
    },
  ): Promise<readonly Command[]>;
  /** What the events of these commands are sent with, of those that exist. In no order. */
  origins(ids: readonly string[]): Promise<readonly CommandOrigin[]>;
  /** The commands that a run was started for or joined, oldest first. */
  ofRun(runId: string): Promise<readonly Command[]>;
  /** Newest first. */
  list(page: PageRequest): Promise<Page<Command>>;
}

export type CommandOrigin = Pick<Command, "id" | "reply" | "traceparent" | "correlationId">;

/** Frozen records of groups. Writes by workers come after `steps.fence` in the same transaction. */
export interface RecordRepository {
  list(environmentId: string): Promise<readonly GroupRecord[]>;
  get(environmentId: string, template: string, group: string): Promise<GroupRecord | null>;
  /**
   * As `some`, for a few groups, without waiting: resolves once it is asked. The answer is what the transaction sees now; it
   * may come with that of the commit, and may be awaited after it. It never rejects: it is null where it was
   * lost, which happens to a commit that took effect, too.
   */
  ask(
    environmentId: string,
    template: string,
    groups: readonly string[],
  ): Promise<{ readonly answer: Promise<readonly GroupRecord[] | null> }>;
  /** Those of the named groups that exist; for evaluating a step's inputs. */
  some(
    environmentId: string,
    template: string,
    groups: readonly string[],
  ): Promise<readonly GroupRecord[]>;
  /** Those that ask their worker for labels; costs what there are of them. */
  labelled(
    environmentId: string,
  ): Promise<readonly Pick<GroupRecord, "template" | "group" | "runsOn">[]>;
  put(record: GroupRecord): Promise<void>;
  remove(environmentId: string, template: string, group: string): Promise<void>;
}

export interface ResourceRepository {
  /** Makes these the resources of the group: same key keeps its id and `createdAt`, others of the group are removed. */
  replaceGroup(at: GroupPlace, resources: readonly Resource[]): Promise<void>;
  setGroupStatus(at: GroupPlace, status: Resource["status"], now: string): Promise<void>;
  get(id: string): Promise<Resource | null>;
  ofEnvironment(environmentId: string): Promise<readonly Resource[]>;
  /** Those of one group, by key; the environment's others cost nothing. */
  ofGroup(at: GroupPlace): Promise<readonly Resource[]>;
  /** Across environments, by id. */
  list(page: PageRequest): Promise<Page<Resource>>;
  /** Makes these the observed resources of the group. */
  replaceObserved(
    at: GroupPlace,
    observed: readonly ObservedResource[],
    now: string,
  ): Promise<void>;
  /** Adds them: as `replaceObserved`, for less, where nothing of the group was observed before. */
  addObserved(at: GroupPlace, observed: readonly ObservedResource[], now: string): Promise<void>;
  observedOf(
    environmentId: string,
  ): Promise<readonly (ObservedResource & GroupPlace & { readonly observedAt: string })[]>;
}

export interface GroupPlace {
  readonly environmentId: string;
  readonly template: string;
  readonly group: string;
}

export interface CheckRepository {
  put(state: CheckState): Promise<void>;
  list(environmentId: string): Promise<readonly CheckState[]>;
  /** Forgets states of checks that are not among these keys. */
  keepOnly(environmentId: string, keys: readonly string[]): Promise<void>;
}

/** Sealed values: ciphertext and fingerprint, never plain text. */
export interface SecretRepository {
  put(secret: SealedSecret): Promise<void>;
  get(id: string): Promise<SealedSecret | null>;
  /** The newest with this owner, name and fingerprint, so that sealing the same value again gives the same reference. */
  same(environmentId: string, name: string, fingerprint: string): Promise<SealedSecret | null>;
  ofEnvironment(environmentId: string): Promise<readonly SealedSecret[]>;
  remove(ids: readonly string[]): Promise<void>;
}

export interface SealedSecret {
  readonly id: string;
  readonly environmentId: string;
  /** `parameter/<name>`, `output/<template>/<group>/<name>`, `secret/<template>/<name>` or `certificate/<template>/<name>`. */
  readonly name: string;
  /** The value, or for a keeper other than `embedded` what that needs to find it. */
  readonly sealed: Uint8Array;
  readonly fingerprint: string;
  /** The name of the `SecretKeeper` that opens it. */
  readonly keeper: string;
  readonly createdAt: string;
}

/** The newest version of each declared secret and certificate. Writes by workers come after `steps.fence` in the same transaction. */
export interface OwnedSecretRepository {
  get(environmentId: string, template: string, name: string): Promise<OwnedSecret | null>;
  /** By template and name. */
  ofEnvironment(environmentId: string): Promise<readonly OwnedSecret[]>;
  put(secret: OwnedSecret): Promise<void>;
  remove(environmentId: string, template: string, name: string): Promise<void>;
  /** Those whose next version is due by itself, the longest due first. */
  due(now: string, limit: number): Promise<readonly OwnedSecret[]>;
  /** How many certificates all environments have, and when the next one of them expires. */
  certificateEnds(): Promise<{ readonly count: number; readonly soonest: string | null }>;
}

/** What the embedded authority lives on: its certificate and sealed key, and which of its certificates are revoked. */
export interface CertificateRepository {
  authority(name: string): Promise<StoredAuthority | null>;
  /** The first one under a name stays. */
  keepAuthority(authority: StoredAuthority): Promise<void>;
  /** Those revoked already stay as they are; those that are over are forgotten. */
  revoke(
    certificates: readonly Pick<RevokedCertificate, "serial" | "notAfter">[],
    now: string,
  ): Promise<void>;
  /** Those that would be good still. By serial number. */
  revoked(now: string): Promise<readonly RevokedCertificate[]>;
}

export interface StoredAuthority {
  readonly name: string;
  /** In PEM. */
  readonly certificate: string;
  readonly sealed: Uint8Array;
  readonly createdAt: string;
}

export interface RevokedCertificate {
  readonly serial: string;
  readonly notAfter: string;
  readonly revokedAt: string;
}

/** Credentials that attempts were lent, so that whoever comes after one that died can end them. */
export interface LoanRepository {
  /** Comes after `steps.fence` in the same transaction. */
  put(loan: RecordedLoan): Promise<void>;
  remove(ids: readonly string[]): Promise<void>;
  /** Those whose attempt is over, the oldest first. */
  left(limit: number): Promise<readonly RecordedLoan[]>;
}

/** Executors' sealed states: rows that name blobs. Writes come after `steps.fence` in the same transaction. */
export interface StateRepository {
  latest(at: GroupPlace): Promise<StateVersion | null>;
  inProgress(at: GroupPlace): Promise<StateVersion | null>;
  /** Overwrites the one in-progress row of the group. */
  putProgress(state: StateVersion): Promise<void>;
  /** Adds a version (its number is given here), clears the in-progress row, keeps the newest `keep` versions. */
  addVersion(state: StateVersion, keep: number): Promise<void>;
  list(at: GroupPlace): Promise<readonly StateVersion[]>;
  removeEnvironment(environmentId: string): Promise<void>;
  blobDigests(): Promise<readonly string[]>;
}

export interface StateVersion extends GroupPlace {
  /** 0 for the in-progress row. */
  readonly version: number;
  readonly serial: number;
  readonly lineage: string;
  readonly blob: string;
  readonly createdAt: string;
}

export interface PlanRepository {
  insert(plan: SavedPlan): Promise<void>;
  get(id: string): Promise<SavedPlan | null>;
  update(id: string, patch: Partial<Pick<SavedPlan, "status" | "plan" | "basis">>): Promise<void>;
  /** Newest first. */
  list(environmentId: string, page: PageRequest): Promise<Page<SavedPlan>>;
}

/**
 * The journal. An event has its position with the commit or some milliseconds later, in the order of commits and with no
 * earlier one to come: a reader that goes by position misses nothing. Watchers of `journal` are woken once it is there.
 */
export interface EventRepository {
  /** Appends in order; raises the sequence of their environments (one `UPDATE … RETURNING` an environment). */
  append(events: readonly NewEvent[], time: string): Promise<readonly AppendedEvent[]>;
  /** Events after a position, oldest first. With `environmentId`, of that environment alone; with `types`, only such. */
  after(
    position: number,
    filter: {
      readonly environmentId?: string;
      readonly runId?: string;
      readonly types?: readonly EventType[];
      readonly limit: number;
    },
  ): Promise<readonly JournalEvent[]>;
  /** Position of the newest event; 0 when there is none. */
  head(): Promise<number>;
  /** The oldest position that retention has left; cursors before it have a gap. */
  oldest(): Promise<number>;
}

export interface AuditRepository {
  append(entry: AuditEntry): Promise<void>;
  /** Newest first. */
  list(page: PageRequest): Promise<Page<AuditEntry>>;
}

export interface AuditEntry {
  readonly id: string;
  readonly time: string;
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly commandId: string | null;
  readonly detail: Json;
}
