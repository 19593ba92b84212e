import { GlasshouseError } from "../domain/errors.ts";
import { outlivesLeaseMs } from "../domain/lease.ts";
import type { StartedChild } from "../ports/executor.ts";
import type { EngineDeps } from "./deps.ts";
import {
  settles,
  work,
  type Claimed,
  type Interruption,
  type Surroundings,
  type Trial,
} from "./work.ts";

/** A step that is being worked on in this process. */
export interface ActiveAttempt {
  readonly stepId: string;
  readonly token: number;
  readonly runId: string;
  /** Its run has groups whose failure ends the run at once. */
  readonly isAbortable: boolean;
  readonly executor: string;
  /** Resolves when its outcome is recorded, or when it was given up at a stop. */
  readonly done: Promise<void>;
  readonly cancel: (kill: boolean) => void;
  readonly stop: () => void;
  /** The lease was renewed: its child may go on for so long. */
  readonly extend: (leaseMs: number) => void;
  /** The lease ended, so it stops; others may take the step before long. */
  readonly lapse: () => void;
  /** The step has another owner now. Whatever it wants to write is refused by the store. */
  readonly taken: () => void;
  /** This worker is over for the store: it stops and writes nothing any more. */
  readonly lose: () => void;
}

/** Begins an attempt. Its outcome is recorded before `done` resolves. */
export function attempt(deps: EngineDeps, claimed: Claimed, around: Surroundings): ActiveAttempt {
  const gentle = new AbortController();
  const hard = new AbortController();
  let interruption: Interruption | null = null;
  let isCancelAsked = false;
  const lapses = around.lease.lapses();
  const children = new Set<StartedChild>();
  const interrupt = (why: Interruption): void => {
    interruption ??= why;
    gentle.abort(new GlasshouseError("step-interrupted", `The step was interrupted: ${why}.`));
  };
  const trial: Trial = {
    deps,
    claimed,
    around,
    gentle: gentle.signal,
    hard: hard.signal,
    interruption: () => interruption,
    hasLapsed: () => around.lease.lapses() !== lapses || around.lease.remainingMs() <= 0,
    childStarted: (child) => {
      children.clear();
      children.add(child);
      holdChild(child, around.lease);
    },
    look: {
      // Steps that change nothing outside have nothing to look at.
      isOpen: claimed.settle && settles.includes(claimed.step.phase),
      close: () => {
        trial.look.isOpen = false;
        if (isCancelAsked) interrupt("cancelled");
      },
    },
  };
  const forget = deps.clock.after(
    claimed.step.timeoutMs,
    () => claimed.step.phase === "check" || interrupt("timeout"),
  );
  const done = work(trial).finally(forget);
  return {
    stepId: claimed.step.id,
    token: claimed.step.token,
    runId: claimed.step.runId,
    isAbortable: claimed.facts.isAbortable,
    executor: claimed.step.phase === "check" ? "check" : (claimed.step.executor ?? "engine"),
    done,
    cancel: (kill) => {
      isCancelAsked = true;
      // A look at what an earlier attempt did is let come to its end: without it that would stay unknown for good.
      if (kill || !trial.look.isOpen) interrupt("cancelled");
      if (kill) hard.abort();
    },
    stop: () => interrupt("stopping"),
    extend: (leaseMs) => {
      for (const child of children) child.holdFor(leaseMs);
    },
    lapse: () => interrupt("lapsed"),
    taken: () => interrupt("taken"),
    lose: () => {
      interrupt("lost");
      interruption = "lost";
    },
  };
}

/**
 * From now on the child's warden knows the end of the lease and stops it a while after by itself, whatever becomes of this server.
 * Called after its identity was stored and before it is let go, so none runs of which a new owner would not know how long
 * to wait for it.
 */
function holdChild(child: StartedChild, lease: Surroundings["lease"]): void {
  const leftMs = lease.remainingMs();
  if (!lease.holds() || leftMs <= 0)
    throw new GlasshouseError(
      "unavailable",
      "This server's lease ended before the step's program was started, so it was not started.",
    );
  if (Number.isFinite(leftMs)) child.holdFor(leftMs + outlivesLeaseMs);
}
