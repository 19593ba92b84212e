import type { Failure } from "../domain/errors.ts";
import type { Change } from "../domain/resource.ts";
import type { Run, RunStatus } from "../domain/run.ts";
import type { Attempt, ChildIdentity, Step, StepStatus } from "../domain/step.ts";
import type { Json } from "../lib/json.ts";
import type { Page, PageRequest } from "./page.ts";

/** Runs; the queued ones of an environment, oldest first, are its queue. */
export interface RunRepository {
  insert(run: Run): Promise<void>;
  get(id: string): Promise<Run | null>;
  /** Changes the named members only; a progress that is named replaces the whole of it, as at a run's start. */
  update(
    id: string,
    patch: Partial<Omit<Run, "id" | "environmentId" | "createdAt">>,
  ): Promise<void>;
  /** Adds to the counters of progress; returns them as they are now, or null when there is no such run. */
  addProgress(id: string, delta: Partial<Run["progress"]>): Promise<Run["progress"] | null>;
  /** Newest first. */
  list(
    filter: { readonly environmentId?: string; readonly status?: RunStatus },
    page: PageRequest,
  ): Promise<Page<Run>>;
  /** Queued runs of the environment, oldest first. */
  queue(environmentId: string): Promise<readonly Run[]>;
  /** How many runs are queued in all. Cheap. */
  countQueued(): Promise<number>;
  /**
   * Queued runs that may be looked at now: the oldest exclusive one of each environment without an active run, and every
   * plan or refresh. Oldest first.
   */
  startable(limit: number): Promise<readonly Run[]>;
  /** Runs that are running or waiting. */
  inFlight(): Promise<readonly Run[]>;
  /** Those of them whose cancel was requested. Cheap. */
  cancelling(): Promise<readonly Run[]>;
  /** Runs that hold a shared use of the environment (they require it). */
  usersOf(environmentId: string): Promise<readonly Run[]>;
  /** Takes a shared use of these environments until `releaseUses`. Safe to repeat. */
  use(runId: string, environmentIds: readonly string[]): Promise<void>;
  releaseUses(runId: string): Promise<void>;
}

/** Which claim a worker writes for. */
export interface Fence {
  readonly stepId: string;
  readonly runId: string;
  readonly environmentId: string;
  readonly token: number;
}

/**
 * Steps of runs. The verbs of a worker (`end`, `retry`, `park`, `setChild`, `addNotes`) check the fence themselves: the step
 * is running, its token is the fence's and, for runs that hold the environment, `environment.activeRun` is the run; else
 * `stale-token` and nothing is written.
 */
export interface StepRepository {
  /** `dependsOn` by index into `steps`. Steps with `waitingOn` 0 are expected to be `ready`. Bounded time per call of the event loop. */
  insert(steps: readonly Step[], dependsOn: readonly (readonly number[])[]): Promise<void>;
  get(id: string): Promise<Step | null>;
  /** In order of insertion; `cursor` pages. */
  list(runId: string, page: PageRequest): Promise<Page<Step>>;
  byKey(runId: string, key: string): Promise<Step | null>;
  /** Edges of the run's graph as [upstream step id, step id]. */
  edges(runId: string): Promise<readonly (readonly [string, string])[]>;
  attempts(stepId: string): Promise<readonly Attempt[]>;
  /**
   * Claims up to `limit` steps that are `ready` or `unknown`, due (`availableAt`), of running runs that are below their
   * parallelism: raises the token, stores the worker and the attempt (the intent), makes them `running`. Nothing goes to a
   * worker that is not known or gone, or whose lease is over by the store's clock: others may take what it would own. Costs
   * in proportion to what it claims, not to what exists.
   */
  claim(request: ClaimRequest): Promise<readonly Claim[]>;
  /**
   * What ends of steps in this transaction have claimed in their place, where its options let them: for each at most one step
   * that it released, which counts against the same place and asks for the same labels. A store claims so only where it
   * saves it a way, and where nothing else could be claimed, so that nobody waits for longer.
   */
  inPlace(): readonly Claim[];
  /** What the steps that may be claimed now ask for: each list of labels once. Costs what there are of such lists. */
  asked(): Promise<readonly (readonly string[])[]>;
  /** Runs with a step that may be claimed now and asks for exactly these labels. By id. */
  runsAsking(runsOn: readonly string[], limit: number): Promise<readonly string[]>;
  /** Earliest `availableAt` in the future among ready and unknown steps of running runs, or null. */
  nextDue(now: string): Promise<string | null>;
  /** Throws `stale-token` unless the fence holds. First in every worker transaction that writes elsewhere too. */
  fence(fence: Fence): Promise<void>;
  /**
   * Throws `stale-token` once the step was claimed again. For what a claim's owner still has to tell when the step has
   * ended: lines of its log that could not be stored before.
   */
  fenceLast(fence: Fence): Promise<void>;
  /**
   * Ends the step and its attempt and counts it in its run. `succeeded` and `skipped` release successors (their `waitingOn`
   * sinks; at 0 they are `ready`).
   */
  end(fence: Fence, outcome: StepOutcome): Promise<EndedStep>;
  /**
   * Back to `ready`, or with `unknown` to `unknown` (what it did is still to be looked at), not before `availableAt`;
   * `counts` says whether the attempt counts against the policy.
   */
  retry(
    fence: Fence,
    again: {
      readonly availableAt: string | null;
      readonly counts: boolean;
      readonly unknown?: boolean;
      readonly reason: string;
      readonly failure: Failure | null;
      readonly now: string;
    },
  ): Promise<void>;
  /** To `waiting`: only an operator's `run.retry` or cancel moves it on. */
  park(
    fence: Fence,
    waiting: { readonly reason: string; readonly failure: Failure; readonly now: string },
  ): Promise<void>;
  setChild(fence: Fence, child: ChildIdentity): Promise<void>;
  addNotes(fence: Fence, notes: readonly Json[]): Promise<void>;
  /**
   * Running steps of other workers that may be taken become `unknown`; returns them as they are now. A step may be taken
   * when its owner is gone or not known; when the owner's lease, by the store's clock, ended longer ago than its child may
   * take to stop and `takeoverMarginMs`; or when it is among the dead.
   */
  abandon(request: AbandonRequest): Promise<readonly Step[]>;
  /** Running steps of this worker, with the child of each one's newest attempt. In order of insertion. */
  ownedBy(worker: string): Promise<readonly OwnedStep[]>;
  /** Counts by status; costs one index scan of the run. */
  counts(runId: string): Promise<Readonly<Record<StepStatus, number>>>;
  /** True while any step of the run is ready, running or unknown. Cheap. */
  anyOpen(runId: string): Promise<boolean>;
  /** True while any step of the run waits for an operator. Cheap. */
  anyWaiting(runId: string): Promise<boolean>;
  /** Steps of the run that failed or wait for an operator, waiting ones first, then by when they ended. Cheap when there are none. */
  troubled(runId: string, limit: number): Promise<readonly Step[]>;
  /**
   * Steps of these runs that failed and are put off until their next attempt, the next one first. At most 1,000 runs. Costs
   * what there is of such steps, not what the runs have.
   */
  putOff(runIds: readonly string[], limit: number): Promise<readonly Step[]>;
  /** Moves every step of the run in one of `from` to `to`; returns those moved. Not for running steps. */
  moveAll(
    runId: string,
    move: {
      readonly from: readonly StepStatus[];
      readonly to: StepStatus;
      readonly reason: string;
      readonly now: string;
      readonly keys?: readonly string[];
    },
  ): Promise<readonly Step[]>;
  /** For `run.retry`: failed, cancelled and waiting steps become `ready` (or `blocked` while they wait on others), attempts 0, times empty. */
  reopen(runId: string, now: string): Promise<readonly Step[]>;
  /** Opens steps that were inserted `blocked` with this phase and wait on nothing but the gate. */
  openGate(runId: string, phase: Step["phase"], now: string): Promise<number>;
  /** Rewrites a step's plain data: a check's evaluated target. */
  setInput(stepId: string, input: Json): Promise<void>;
}

export interface ClaimRequest {
  readonly worker: string;
  readonly now: string;
  readonly limit: number;
  /** Free places by executor name (or phase `check`); names that are absent are unlimited. */
  readonly places: Readonly<Record<string, number>>;
  /** What the worker offers: a step that asks for any other label is left to others, and costs nothing here. */
  readonly labels: readonly string[];
}

export interface AbandonRequest {
  /** Who asks: its own steps stay. */
  readonly worker: string;
  readonly now: string;
  /** Claims whose owner and whose child, if there was one, were proven dead on this machine. */
  readonly dead?: readonly OwnedStep[];
}

export interface OwnedStep {
  readonly stepId: string;
  readonly token: number;
  readonly child: ChildIdentity | null;
}

export interface Claim {
  /** As it is now: running, with its new token. */
  readonly step: Step;
  /** Its last attempt's outcome is unknown: look before acting. */
  readonly settle: boolean;
  /** `attempt` of its run now. */
  readonly runAttempt: number;
}

export interface StepOutcome {
  readonly status: "succeeded" | "failed" | "skipped" | "cancelled";
  readonly reason: string | null;
  readonly failure: Failure | null;
  readonly changes: readonly Change[];
  readonly now: string;
  /** What is added to the counters of its run. */
  readonly progress?: Partial<Run["progress"]>;
}

/** What a step's end tells of its run. */
export interface EndedStep {
  /** As it is now; null when there is no such run. */
  readonly progress: Run["progress"] | null;
  /** As `anyOpen`, right after it. */
  readonly isOpen: boolean;
}

export interface LogRepository {
  /** Lines of one attempt, numbered from the caller's `first`. A repeated number is kept once. */
  append(stepId: string, lines: readonly LogLine[]): Promise<void>;
  /** Lines after a number, oldest first. */
  after(stepId: string, number: number, limit: number): Promise<readonly LogLine[]>;
  last(stepId: string): Promise<number>;
}

export interface LogLine {
  /** From 1, over all attempts of the step. */
  readonly number: number;
  /** The claim it belongs to. */
  readonly token: number;
  readonly time: string;
  readonly text: string;
}
