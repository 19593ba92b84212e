import type { Json } from "../lib/json.ts";
import type { GroupCertificate } from "../domain/certificate.ts";
import type { ErrorDetail } from "../domain/errors.ts";
import type { Change, ObservedResource } from "../domain/resource.ts";
import type { DriftStatus } from "../domain/record.ts";
import type { SettingsShape } from "../domain/settings.ts";
import type { Attempt, ChildIdentity } from "../domain/step.ts";
import type { SecretRef, Value, Values } from "../domain/value.ts";

/**
 * Makes one kind of resource group real. Look, make what is missing, change only the difference, report. Every method may
 * be called again after it was cut off anywhere. Errors are `GlasshouseError`s: transient codes are retried by the step's
 * policy, terminal ones are not. `ctx.signal` asks for a gentle stop; `ctx.kill` for a hard one.
 */
export interface Executor {
  readonly name: string;
  /** Raised when the same settings would lead to another effect: it makes every group of this executor run again. */
  readonly behaviour: number;
  readonly settings: SettingsShape;
  /** Each of its groups has a certificate: an apply tells it, and the environment owns it until the group is destroyed. */
  readonly issuesCertificates?: true;
  /** Paths within the template whose content the group depends on: their digest is part of "has it changed?". */
  filesOf(settings: Json): readonly string[];
  /** Mistakes that the shape cannot say, found at registration. Expressions are still text. */
  validate(settings: Json): readonly ErrorDetail[];
  /** What would be done. Changes nothing outside its work directory. */
  plan(ctx: ExecutorContext): Promise<ExecutorPlan>;
  /**
   * For executors that need not look at anything to say what they would do: the changes that `plan` gives, from what the
   * engine knows. Pure. Groups of such an executor are planned without a step of their own.
   */
  readonly foresee?: (of: Foreseeable) => readonly Change[];
  /** Makes it so. With `ctx.sealedPlan`, exactly that plan or `plan-stale`. */
  apply(ctx: ExecutorContext): Promise<ExecutorResult>;
  /** Takes down what `apply` made, by the frozen record. "Already gone" is success only when proven; missing state is `state-missing`. */
  destroy(ctx: ExecutorContext): Promise<void>;
  /** Looks, changes nothing. */
  observe(ctx: ExecutorContext): Promise<Observation>;
  /** After an attempt whose outcome is unknown: looks at the real world and says how to go on. Its child is proven dead. */
  settle(ctx: ExecutorContext & { readonly operation: "apply" | "destroy" }): Promise<Settlement>;
}

export type Foreseeable = Pick<ExecutorContext, "group" | "settings" | "previous">;

export interface ExecutorPlan {
  readonly changes: readonly Change[];
  /** Bytes that `apply` can take later, exactly. Sealed by the engine. Null when the executor plans afresh at apply. */
  readonly saved: Uint8Array | null;
}

export interface ExecutorResult {
  /** Declared outputs; sensitive ones already sealed by `ctx.seal`. */
  readonly outputs: Values;
  readonly observed: readonly ObservedResource[];
  readonly changes: readonly Change[];
  /** Kept in the frozen record, given back as `ctx.memory`. */
  readonly memory: Json;
  /** Of executors with `issuesCertificates`: the one that is good now. */
  readonly certificate?: GroupCertificate;
}

export interface Observation {
  /** `unknown` when the executor has no way to look: then nothing that was known is changed. */
  readonly drift: DriftStatus;
  readonly changes: readonly Change[];
  readonly observed: readonly ObservedResource[];
  /** Null when the executor cannot say. */
  readonly outputs: Values | null;
}

export type Settlement =
  /** It did take effect. For `destroy` the result is ignored. */
  | { readonly kind: "done"; readonly result: ExecutorResult }
  /** Doing it again is safe: it looks first, or nothing had begun. */
  | { readonly kind: "again" }
  /** Only a person can say. The run waits with this reason until `run.retry`. */
  | {
      readonly kind: "ask";
      readonly reason: "outcome-unknown" | "suspected-leak";
      readonly detail: string;
      readonly addresses: readonly string[];
    };

export interface ExecutorContext {
  readonly environment: { readonly id: string; readonly name: string };
  readonly template: { readonly name: string; readonly version: string };
  /** The group's own name. */
  readonly group: string;
  readonly stepId: string;
  /** The fencing token of this claim. */
  readonly token: number;
  /** Tag that what is made should carry: `glasshouse/<environment id>/<group>`. */
  readonly owner: string;
  readonly traceparent: string | null;
  /** Filled in; secrets still as references. */
  readonly settings: Value;
  /** What the record holds of the last apply, or null. */
  readonly previous: {
    readonly settings: Value;
    readonly outputs: Values;
    readonly memory: Json;
    /** What the last look said of it. */
    readonly drift: DriftStatus;
    /** When that apply was recorded: another one after each apply. */
    readonly appliedAt: string;
  } | null;
  /** Raised each time that another certificate is asked for; 0 for groups that have none. */
  readonly rotation: number;
  /** Parameters that are not secret, for programs that want them. */
  readonly parameters: Readonly<Record<string, Json>>;
  /** Names of declared outputs. */
  readonly declaredOutputs: readonly string[];
  /** Exists, mode 0700, of this group alone, kept between steps as a cache. */
  readonly workDirectory: string;
  /** Files of the template. */
  readonly files: TemplateFiles;
  /** The saved plan to apply, or null. */
  readonly sealedPlan: Uint8Array | null;
  /** Credentials that were made for this attempt: variables for the environment of its own children, and nothing else. */
  readonly lent: Readonly<Record<string, string>>;
  /** This step's earlier attempts with their notes, oldest first. */
  readonly attempts: readonly Attempt[];
  /** Addresses that the operator accepted as leaks with `run.retry`. */
  readonly acceptedLeaks: readonly string[];
  /** State that must outlive the work directory. */
  readonly state: StateSlot;
  /** Plain values in place of references. Hold them briefly, never write them to disk, argument or environment. */
  reveal(value: Value): Promise<Json>;
  /** Seals a sensitive output; the same name and value give the same reference. */
  seal(name: string, plain: string): Promise<SecretRef>;
  /** One line for the step's log; secrets known to the step are masked. Bounded: lines past the cap are counted, not kept. */
  log(line: string): void;
  progress(progress: {
    readonly done: number;
    readonly total: number | null;
    readonly message: string;
  }): void;
  /** Durable within a second; resolves when stored. Given back in `attempts[].notes`. Bounded to 20,000 notes. */
  note(note: Json): Promise<void>;
  /** Stores which child acts, before it is let go. Errors, after which it may not be let go: `stale-token`, `unavailable`. */
  childStarted(child: StartedChild): Promise<void>;
  readonly signal: AbortSignal;
  readonly kill: AbortSignal;
}

/** A child that waits to be let go. */
export interface StartedChild {
  readonly identity: ChildIdentity;
  /**
   * It may go on for this long, counted from now, unless it is told again before; then its warden stops it without being
   * asked, and one that was not let go by then never is. Never called: there is no such end.
   */
  holdFor(leaseMs: number): void;
}

export interface TemplateFiles {
  readonly paths: readonly string[];
  /** Digest over the files at or below these paths. */
  digestOf(paths: readonly string[]): string;
  /** Writes the files at or below `path` ("" for all) into `directory`, modes kept. Files that differ are replaced, others of ours removed. */
  materialise(path: string, directory: string): Promise<void>;
}

/** Sealed, versioned state of one group. Every write carries the fencing token and fails with `stale-token` when it is old. */
export interface StateSlot {
  /** The newest complete version, or null. */
  latest(): Promise<StateCopy | null>;
  /** The in-progress copy, if one was written after the newest version. */
  inProgress(): Promise<StateCopy | null>;
  /** Overwrites the in-progress copy. */
  saveProgress(copy: StateCopy): Promise<void>;
  /** A new version; clears the in-progress copy. The last 50 are kept. */
  saveVersion(copy: StateCopy): Promise<void>;
}

export interface StateCopy {
  readonly bytes: Uint8Array;
  readonly serial: number;
  readonly lineage: string;
}
