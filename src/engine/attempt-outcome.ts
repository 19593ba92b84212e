import { failureOf, mayPass, StoreFault, type Failure } from "../domain/errors.ts";
import { pauseOf } from "../domain/run.ts";
import type { Step } from "../domain/step.ts";
import { backoff } from "../lib/backoff.ts";
import type { Performed } from "./perform.ts";

/** How an attempt ended, decided outside the transaction so that running the transaction twice gives the same. */
export type Outcome =
  | { readonly kind: "performed"; readonly performed: Performed }
  | { readonly kind: "failed"; readonly failure: Failure }
  | {
      readonly kind: "retry";
      readonly failure: Failure;
      readonly delayMs: number;
      readonly counts: boolean;
      /** What the attempt before did is still not known. */
      readonly unknown: boolean;
    }
  | { readonly kind: "cancelled" };

/** Whether an error ends the step or it is tried again: by its class, the step's policy and what was asked of the attempt. */
export function outcomeOfError(
  error: unknown,
  of: {
    readonly step: Step;
    readonly cancelled: boolean;
    readonly timedOut: boolean;
    /** The worker's lease ended, so what ran was stopped. */
    readonly lapsed: boolean;
    /** The outcome of an earlier attempt is unknown and could not be looked at. */
    readonly unsettled: boolean;
    readonly random: number;
  },
): Outcome {
  const { step } = of;
  if (of.cancelled) return { kind: "cancelled" };
  if (of.lapsed) {
    const message =
      "Its server lost touch with the store until its lease ended, so it was stopped.";
    const failure = { code: "step-interrupted", message } as const;
    return { kind: "retry", failure, delayMs: 0, counts: false, unknown: of.unsettled };
  }
  if (of.timedOut) {
    const message = `It took longer than its limit of ${step.timeoutMs / 1000} s and was stopped.`;
    const late = { code: "timeout", message } as const;
    return of.unsettled ? unlooked(late) : { kind: "failed", failure: late };
  }
  const failure = failureOf(error);
  const transient = mayPass(error);
  // Nor is it a failure of the step when there was no way to look at what it did.
  const pauses = error instanceof StoreFault || pauseOf(failure.code) !== null;
  const counts = !of.unsettled && !pauses;
  if (!transient && of.unsettled) return unlooked(failure);
  if (!transient || (counts && step.attempts + 1 >= step.retry.attempts))
    return { kind: "failed", failure };
  const delayMs = backoff({
    attempt: counts ? step.attempts + 1 : step.token,
    baseMs: counts ? step.retry.backoffMs : Math.max(step.retry.backoffMs, 1_000),
    mostMs: counts ? 300_000 : 30_000,
    random: of.random,
  });
  return { kind: "retry", failure, delayMs, counts, unknown: of.unsettled };
}

/** Looking itself failed for good: doing it again blindly is not for the engine to decide. */
function unlooked(failure: Failure): Outcome {
  const detail = `it was cut off, and looking at what it did failed: ${failure.message}`;
  const asked: Performed = {
    kind: "ask",
    reason: "outcome-unknown",
    detail,
    addresses: [],
    changes: [],
  };
  return { kind: "performed", performed: asked };
}
