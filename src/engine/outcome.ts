import type { Failure } from "../domain/errors.ts";
import { stepEventData } from "../domain/event-data.ts";
import type { EventType, NewEvent } from "../domain/event.ts";
import { groupKey, type GroupRecord } from "../domain/record.ts";
import type { Run } from "../domain/run.ts";
import type { Step } from "../domain/step.ts";
import { timestamp } from "../ports/clock.ts";
import type { Tx } from "../ports/store.ts";
import type { Outcome } from "./attempt-outcome.ts";
import type { EngineDeps } from "./deps.ts";
import { fenceOf } from "./fence.ts";
import type { Performed } from "./perform.ts";
import { resourceEvents } from "./resources.ts";
import type { RunFacts } from "./run-cache.ts";
import { recordSecret } from "./owned-step.ts";
import { forgetGroupCertificate, recordGroupCertificate } from "./group-certificate.ts";
import { rotationOf, type StepInputs } from "./step-inputs.ts";

export interface Recording {
  readonly facts: RunFacts;
  readonly step: Step;
  readonly inputs: StepInputs | null;
  readonly outcome: Outcome;
}

/** What was written of an outcome, and what is to be told of it in the same transaction. */
export interface Recorded {
  /** Whether a step of the run is open still; null when that must be asked. */
  readonly isOpen: boolean | null;
  /** Not appended yet: they go into the journal together with those of what the transaction does next. */
  readonly events: readonly NewEvent[];
}

/** Writes an attempt's outcome. Every way has a verb that checks the fence; if it does not hold, nothing is kept. */
export async function recordOutcome(tx: Tx, deps: EngineDeps, of: Recording): Promise<Recorded> {
  const { step, outcome } = of;
  const fence = fenceOf(step);
  const now = timestamp(deps.clock);
  switch (outcome.kind) {
    case "performed":
      return recordPerformed(tx, deps, { ...of, performed: outcome.performed });
    case "failed": {
      await keepPartial(tx, of, now);
      const { progress, isOpen } = await tx.steps.end(fence, {
        status: "failed",
        reason: null,
        failure: outcome.failure,
        changes: [],
        now,
        progress: { failed: 1 },
      });
      const aborts = step.onFailure === "abort";
      if (aborts) await abortRest(tx, step, now);
      const after = ended(step, { status: "failed", failure: outcome.failure, now });
      const events = await eventsOf(tx, of, { type: "step.failed", after, progress });
      return { isOpen: aborts ? null : isOpen, events };
    }
    case "retry": {
      await keepPartial(tx, of, now);
      const { counts, unknown, failure } = outcome;
      const reason = `it is tried again: ${failure.message}`;
      const availableAt = timestamp(deps.clock, outcome.delayMs);
      await tx.steps.retry(fence, { availableAt, counts, unknown, reason, failure, now });
      const status = unknown ? "unknown" : "ready";
      const attempts = step.attempts + (counts ? 1 : 0);
      const after: Step = { ...step, status, reason, failure, availableAt, attempts };
      return { isOpen: true, events: await eventsOf(tx, of, { type: "step.retrying", after }) };
    }
    case "cancelled":
      return recordCancelled(tx, of, now);
  }
}

async function recordCancelled(tx: Tx, of: Recording, now: string): Promise<Recorded> {
  await keepPartial(tx, of, now);
  const reason = "the run was cancelled";
  const { isOpen, progress } = await tx.steps.end(fenceOf(of.step), {
    status: "cancelled",
    reason,
    failure: null,
    changes: [],
    now,
  });
  const after = ended(of.step, { status: "cancelled", reason, now });
  return { isOpen, events: await eventsOf(tx, of, { type: "step.failed", after, progress }) };
}

type Asked = Extract<Performed, { kind: "ask" }>;

/** A person must decide, unless the run is being cancelled: then what may exist stays in a partial record. */
async function recordAsk(
  tx: Tx,
  of: Recording & { readonly performed: Asked },
  now: string,
): Promise<Recorded> {
  const { step, performed } = of;
  const run = await tx.runs.get(step.runId);
  if (run !== null && run.cancelRequestedAt !== null) return recordCancelled(tx, of, now);
  await keepPartial(tx, of, now);
  const code = performed.reason === "approval" ? "conflict" : performed.reason;
  const reason = performed.detail;
  const failure: Failure = { code, message: reason };
  await tx.steps.park(fenceOf(step), { reason, failure, now });
  const events = await eventsOf(tx, of, {
    type: performed.reason === "approval" ? "step.progressed" : "step.unknown",
    after: { ...step, status: "waiting", reason, failure },
  });
  return { isOpen: null, events };
}

/** `onFailure: abort` cancels what has not begun; what runs is interrupted by its worker. */
async function abortRest(tx: Tx, step: Step, now: string): Promise<void> {
  await tx.steps.moveAll(step.runId, {
    from: ["ready", "blocked"],
    to: "cancelled",
    reason: `${step.key} failed and aborts the rest`,
    now,
  });
}

async function recordPerformed(
  tx: Tx,
  deps: EngineDeps,
  of: Recording & { readonly performed: Performed },
): Promise<Recorded> {
  const { performed, step } = of;
  const now = timestamp(deps.clock);
  switch (performed.kind) {
    case "applied":
      return recordApplied(tx, deps, { ...of, performed });
    case "unchanged":
      return done(tx, of, { now, status: "skipped", reason: "unchanged" });
    case "secretMade":
    case "secretChanged":
    case "secretRemoved":
      await recordSecret(tx, performed);
      return done(tx, of, { now, status: "succeeded", changes: step.changes });
    case "destroyed":
      await forgetGroup(tx, of, now);
      if (deps.executors.get(step.executor ?? "")?.issuesCertificates === true)
        await forgetGroupCertificate(tx, placeOf(of));
      return done(tx, of, { now, status: "succeeded" });
    case "observed":
      await recordObserved(tx, { ...of, performed, now });
      return done(tx, of, {
        now,
        status: "succeeded",
        reason: driftWords[performed.observation.drift],
        changes: performed.observation.changes,
      });
    case "planned":
      if (performed.blob !== null || step.input !== null)
        await tx.steps.setInput(
          step.id,
          performed.blob === null ? null : { sealedPlan: performed.blob },
        );
      return done(tx, of, { now, status: "succeeded", changes: performed.changes });
    case "acted":
    case "nothing":
      return done(tx, of, { now, status: "succeeded" });
    case "ask":
      return recordAsk(tx, { ...of, performed }, now);
    case "abandoned":
      return recordCancelled(tx, of, now);
  }
}

const driftWords = {
  unknown: "there is no way to look at it",
  none: "as it should be",
  drifted: "it has drifted",
  missing: "it is gone",
} as const;

type Applied = Extract<Performed, { kind: "applied" }>;

async function recordApplied(
  tx: Tx,
  deps: EngineDeps,
  of: Recording & { readonly performed: Applied },
): Promise<Recorded> {
  const { facts, step, performed } = of;
  const now = timestamp(deps.clock);
  const { group, inputs, result, resources } = performed;
  const before = inputs.record;
  const row: GroupRecord = {
    ...frozen(of, inputs),
    status: "applied",
    fingerprint: inputs.fingerprint(),
    outputs: result.outputs,
    memory: result.memory,
    drift: "none",
    appliedAt: now,
  };
  await tx.records.put({ ...row, behaviour: deps.executors.get(group.executor)?.behaviour ?? 0 });
  const at = placeOf(of);
  if (result.certificate !== undefined) {
    const rotation = rotationOf(facts, group, at.group);
    await recordGroupCertificate(tx, at, { certificate: result.certificate, rotation, now });
  }
  // A group without a record has nothing that was observed either: they come and go together.
  if (before === null) await tx.resources.addObserved(at, result.observed, now);
  else await tx.resources.replaceObserved(at, result.observed, now);
  const known =
    Object.keys(group.resources).length === 0 && before === null
      ? []
      : await tx.resources.ofGroup(at);
  if (resources.length > 0 || known.length > 0) await tx.resources.replaceGroup(at, resources);
  return done(tx, of, {
    now,
    status: "succeeded",
    changes: result.changes,
    more: resourceEvents({ facts, step, before: known, after: resources }),
  });
}

/** What stays of a group whatever happens later: enough to take it down without its template. */
function frozen(
  of: Recording,
  inputs: StepInputs,
): Omit<GroupRecord, "status" | "fingerprint" | "outputs" | "memory" | "drift" | "appliedAt"> {
  const { facts, step } = of;
  const group = inputs.group;
  return {
    environmentId: facts.environment.id,
    template: step.template,
    group: step.group ?? "",
    templateId: facts.template.id,
    executor: group?.executor ?? step.executor ?? "",
    behaviour: 0,
    upstreams: (group?.upstreams ?? []).map((upstream) => groupKey(step.template, upstream)),
    settings: inputs.settings,
    timeoutMs: step.timeoutMs,
    runsOn: step.runsOn,
  };
}

/** An apply that did not end well may have made something: its record says `partial` and holds what destroy needs. */
async function keepPartial(tx: Tx, of: Recording, now: string): Promise<void> {
  const { step, inputs } = of;
  if (step.phase !== "apply" || inputs === null || inputs.group === null) return;
  const before = inputs.record;
  await tx.records.put({
    ...frozen(of, inputs),
    status: "partial",
    fingerprint: null,
    outputs: before?.outputs ?? {},
    memory: before?.memory ?? null,
    drift: before?.drift ?? "unknown",
    appliedAt: now,
  });
}

async function forgetGroup(tx: Tx, of: Recording, now: string): Promise<void> {
  const at = placeOf(of);
  await tx.records.remove(at.environmentId, at.template, at.group);
  await tx.resources.replaceObserved(at, [], now);
  await tx.resources.replaceGroup(at, []);
}

function placeOf({ facts, step }: Recording): {
  readonly environmentId: string;
  readonly template: string;
  readonly group: string;
} {
  return {
    environmentId: facts.environment.id,
    template: step.template,
    group: step.group ?? "",
  };
}

async function recordObserved(
  tx: Tx,
  of: Recording & {
    readonly performed: Extract<Performed, { kind: "observed" }>;
    readonly now: string;
  },
): Promise<void> {
  const { step, facts, performed, now } = of;
  const record = await tx.records.get(facts.environment.id, step.template, step.group ?? "");
  // The group was applied again while it was looked at: what was seen says nothing about it any more.
  if (record === null || record.appliedAt !== performed.record.appliedAt) return;
  const { drift, observed } = performed.observation;
  if (drift === "unknown") return;
  await tx.records.put({ ...record, drift });
  const at = {
    environmentId: record.environmentId,
    template: record.template,
    group: record.group,
  };
  await tx.resources.replaceObserved(at, observed, now);
  await tx.resources.setGroupStatus(at, drift === "none" ? "present" : "drifted", now);
}

interface Done {
  readonly now: string;
  readonly status: "succeeded" | "skipped";
  readonly reason?: string;
  readonly changes?: Step["changes"];
  readonly more?: readonly NewEvent[];
}

async function done(
  tx: Tx,
  of: Recording,
  { now, status, reason, changes, more }: Done,
): Promise<Recorded> {
  const { step } = of;
  const what = { status, reason: reason ?? step.reason, changes: changes ?? [], now };
  const { progress, isOpen } = await tx.steps.end(fenceOf(step), {
    ...what,
    failure: null,
    progress: { done: 1, skipped: status === "skipped" ? 1 : 0 },
  });
  const events = await eventsOf(tx, of, {
    type: status === "skipped" ? "step.skipped" : "step.succeeded",
    after: ended(step, what),
    progress,
    ...(more === undefined ? {} : { more }),
  });
  return { isOpen, events };
}

/** The step as the store has it once it has ended. */
function ended(
  step: Step,
  how: {
    readonly status: "succeeded" | "skipped" | "failed" | "cancelled";
    readonly reason?: string | null;
    readonly failure?: Failure;
    readonly changes?: Step["changes"];
    readonly now: string;
  },
): Step {
  const { status, reason = null, failure = null, changes = [], now } = how;
  const attempts = step.attempts + (status === "succeeded" || status === "failed" ? 1 : 0);
  return { ...step, status, reason, failure, changes, attempts, finishedAt: now };
}

interface Told {
  readonly type: EventType;
  /** The step as it is now. */
  readonly after: Step;
  /** The run's progress as it is now; read when it has not changed. */
  readonly progress?: Run["progress"] | null;
  readonly more?: readonly NewEvent[];
}

/** The step's event carries the run's progress, so that one stream shows both. */
async function eventsOf(tx: Tx, of: Recording, told: Told): Promise<readonly NewEvent[]> {
  const { facts, step } = of;
  const progress = told.progress ?? (await tx.runs.get(step.runId))?.progress;
  if (progress === undefined) return [];
  const event: NewEvent = {
    type: told.type,
    environmentId: facts.environment.id,
    subject: `environments/${facts.environment.name}`,
    runId: step.runId,
    stepId: step.id,
    data: stepEventData(told.after, { progress: { ...progress } }),
  };
  return [...(told.more ?? []), event];
}
