import { GlasshouseError, mayPass } from "../domain/errors.ts";
import { stepEventData } from "../domain/event-data.ts";
import type { NewEvent } from "../domain/event.ts";
import type { GroupRecord } from "../domain/record.ts";
import type { Step } from "../domain/step.ts";
import { backoff } from "../lib/backoff.ts";
import { timestamp } from "../ports/clock.ts";
import type { StartedChild } from "../ports/executor.ts";
import type { Tx } from "../ports/store.ts";
import type { Claim } from "../ports/work.ts";
import type { WorkerLease } from "../ports/worker.ts";
import { advanceRun } from "./advance.ts";
import { performCheck } from "./check-step.ts";
import type { EngineDeps } from "./deps.ts";
import { fenceOf } from "./fence.ts";
import { outcomeOfError, type Outcome } from "./attempt-outcome.ts";
import { recordOutcome, type Recorded } from "./outcome.ts";
import { perform } from "./perform.ts";
import { recordLook } from "./record-look.ts";
import type { RunFacts } from "./run-cache.ts";
import type { StepInputs } from "./step-inputs.ts";

/** A claim and what its run shares. */
export interface Claimed extends Claim {
  readonly facts: RunFacts;
  /** The records that its inputs come from, where they were asked for with the claim. */
  readonly records: Promise<readonly GroupRecord[] | null> | null;
}

/** What an attempt asks of those around it. */
export interface Surroundings {
  /**
   * Runs the recording transaction: once an outcome is known, and again while the store is full or down. The events that it
   * gives are appended with those of what is claimed next.
   */
  readonly finish: (fn: (tx: Tx) => Promise<readonly NewEvent[]>) => Promise<void>;
  /** Interrupts the other steps of its run that this process works on. */
  readonly abortRun: () => void;
  /** Waits so long, or until the store can be written again. */
  readonly pause: (delayMs: number) => Promise<void>;
  /** The lease that it was claimed under. */
  readonly lease: Pick<WorkerLease, "holds" | "remainingMs" | "lapses">;
}

/** Why an attempt was asked to stop; it decides what its end means. */
export type Interruption = "cancelled" | "timeout" | "stopping" | "lapsed" | "taken" | "lost";

export interface Trial {
  readonly deps: EngineDeps;
  readonly claimed: Claimed;
  readonly around: Surroundings;
  readonly gentle: AbortSignal;
  readonly hard: AbortSignal;
  readonly interruption: () => Interruption | null;
  /** The lease has ended since the step was claimed, so its child was stopped. */
  readonly hasLapsed: () => boolean;
  readonly childStarted: (child: StartedChild) => void;
  /** Open until it is known what an earlier attempt of unknown outcome did. */
  readonly look: { isOpen: boolean; readonly close: () => void };
}

/** Does one attempt and records what it came to. */
export async function work(trial: Trial): Promise<void> {
  const { deps, claimed } = trial;
  if (claimed.step.phase === "check") return runCheck(trial);
  let inputs: StepInputs | null = null;
  let outcome: Outcome;
  try {
    await provePredecessorGone(trial);
    const glance = await wasInterrupted(trial);
    const performed = await perform(deps, {
      facts: claimed.facts,
      step: claimed.step,
      records: claimed.records,
      settle: claimed.settle,
      glance,
      signal: trial.gentle,
      kill: trial.hard,
      childStarted: trial.childStarted,
      cancelling: claimed.settle && (await isCancelling(trial)),
      progress: progressWriter(trial),
      settled: trial.look.close,
      prepared: (known) => {
        inputs = known;
      },
    });
    outcome = { kind: "performed", performed };
  } catch (caught) {
    if (endsUnwritten(trial)) return;
    const error = fullDisk(caught) ?? caught;
    if (!(error instanceof GlasshouseError))
      deps.log.error("A step failed unexpectedly", { stepId: claimed.step.id, error });
    outcome = outcomeOfError(error, {
      step: claimed.step,
      cancelled: trial.interruption() === "cancelled",
      timedOut: trial.interruption() === "timeout",
      lapsed: trial.hasLapsed(),
      unsettled: trial.look.isOpen || (trial.hasLapsed() && settles.includes(claimed.step.phase)),
      random: Math.random(),
    });
  }
  await deps.settings.failpoint("step.acted");
  const recording = { facts: claimed.facts, step: claimed.step, inputs, outcome };
  await settle(trial, async (tx) => {
    await deps.settings.failpoint("step.recording");
    return recordOutcome(tx, deps, recording);
  });
  if (outcome.kind === "failed" && claimed.step.onFailure === "abort") trial.around.abortRun();
}

/**
 * At a stop nothing is written: the step stays `running`, and whoever takes it looks at the real world first. So it is with
 * a worker that is over for the store.
 */
function endsUnwritten(trial: Trial): boolean {
  return trial.interruption() === "stopping" || trial.interruption() === "lost";
}

/** A file that could not be written because the disk is full pauses the step; it is no fault of the service. */
function fullDisk(error: unknown): GlasshouseError | null {
  if (!(error instanceof Error)) return null;
  const code = "code" in error ? error.code : null;
  if (code !== "ENOSPC" && code !== "EDQUOT") return fullDisk(error.cause);
  const message = "A file of the step could not be written: the disk is full.";
  return new GlasshouseError("storage-full", message, { cause: error });
}

/** Phases whose unknown outcome is settled by looking before they act again. */
export const settles: readonly Step["phase"][] = ["apply", "destroy", "action"];

async function runCheck(trial: Trial): Promise<void> {
  const { deps, claimed } = trial;
  const { step, facts } = claimed;
  try {
    const attempts = await deps.store.read((tx) => tx.steps.attempts(step.id));
    const openedAtMs = Date.parse(
      step.startedAt ?? attempts[0]?.startedAt ?? timestamp(deps.clock),
    );
    const look = await performCheck(deps, {
      facts,
      step,
      openedAtMs,
      looks: step.token - 1,
      signal: trial.gentle,
    });
    await settle(trial, async (tx) => {
      const events = await recordLook(tx, deps, { facts, step, look });
      return { isOpen: null, events };
    });
  } catch (error) {
    if (endsUnwritten(trial)) return;
    const outcome = outcomeOfError(error, {
      step,
      cancelled: trial.interruption() === "cancelled",
      timedOut: false,
      lapsed: false,
      unsettled: false,
      random: Math.random(),
    });
    await settle(trial, (tx) => recordOutcome(tx, deps, { facts, step, inputs: null, outcome }));
  }
}

/**
 * Records the outcome and moves the run on. A finished outcome is never dropped because the disk is full or the database is
 * away: it is held and tried again. A stale token means that somebody else owns the step: nothing is written.
 */
async function settle(trial: Trial, write: (tx: Tx) => Promise<Recorded>): Promise<void> {
  const { deps, claimed } = trial;
  for (let tries = 1; trial.interruption() !== "lost"; tries += 1) {
    try {
      await trial.around.finish(async (tx) => {
        const { isOpen, events } = await write(tx);
        if (isOpen === true) return events;
        if (events.length > 0) await tx.events.append(events, timestamp(deps.clock));
        await advanceRun(tx, deps, { runId: claimed.step.runId, facts: claimed.facts, isOpen });
        return [];
      });
      return await deps.settings.failpoint("step.recorded");
    } catch (error) {
      if (error instanceof GlasshouseError && error.code === "stale-token") {
        deps.log.warn("A late write was refused: the step has another owner now", {
          stepId: claimed.step.id,
          token: claimed.step.token,
        });
        return;
      }
      if (!mayPass(error)) throw error;
      deps.log.warn("A step's outcome is held until the store takes it", {
        stepId: claimed.step.id,
        error,
      });
      await trial.around.pause(
        backoff({ attempt: tries, baseMs: 200, mostMs: 10_000, random: Math.random() }),
      );
    }
  }
}

/** The child of the attempt before may still be ending: the world is looked at only when it is gone. */
async function provePredecessorGone({ deps, claimed, gentle }: Trial): Promise<void> {
  if (!claimed.settle) return;
  const attempts = await deps.store.read((tx) => tx.steps.attempts(claimed.step.id));
  for (const earlier of attempts) {
    if (earlier.child !== null && earlier.token < claimed.step.token)
      await deps.processes.awaitGone(earlier.child, gentle);
  }
}

/** Whether the attempt before was interrupted while its program ran: it may have acted all the same. */
async function wasInterrupted({ deps, claimed }: Trial): Promise<boolean> {
  const { step } = claimed;
  if (claimed.settle || step.token === 1 || !settles.includes(step.phase)) return false;
  const attempts = await deps.store.read((tx) => tx.steps.attempts(step.id));
  const before = attempts.findLast(({ token }) => token < step.token);
  return before?.outcome === "interrupted" && before.child !== null;
}

async function isCancelling({ deps, claimed }: Trial): Promise<boolean> {
  const run = await deps.store.read((tx) => tx.runs.get(claimed.step.runId));
  return run !== null && run.cancelRequestedAt !== null;
}

const progressEveryMs = 1_000;

/** Progress of a long step as events, at most one a second; the newest wins. */
function progressWriter({
  deps,
  claimed,
}: Trial): (progress: {
  readonly done: number;
  readonly total: number | null;
  readonly message: string;
}) => void {
  const { step, facts } = claimed;
  let lastMs = Number.NEGATIVE_INFINITY;
  return (progress) => {
    const now = deps.clock.monotonic();
    if (now - lastMs < progressEveryMs) return;
    lastMs = now;
    const event = {
      type: "step.progressed" as const,
      environmentId: facts.environment.id,
      subject: `environments/${facts.environment.name}`,
      runId: step.runId,
      stepId: step.id,
      data: stepEventData(step, { detail: { ...progress } }),
    };
    deps.store
      .transact(async (tx) => {
        await tx.steps.fence(fenceOf(step));
        await tx.events.append([event], timestamp(deps.clock));
      })
      .catch((error: unknown) =>
        deps.log.warn("A step's progress could not be told", { stepId: step.id, error }),
      );
  };
}
