import { environmentEventData, runEventData } from "../domain/event-data.ts";
import { failureOf, type Failure } from "../domain/errors.ts";
import type { GroupRecord } from "../domain/record.ts";
import type { Blocker, Run } from "../domain/run.ts";
import type { OwnedSecret } from "../domain/secret.ts";
import type { Step } from "../domain/step.ts";
import { comparable } from "../domain/value.ts";
import { timestamp } from "../ports/clock.ts";
import type { Tx } from "../ports/store.ts";
import type { EngineDeps } from "./deps.ts";
import { delivered, deliveringGroups } from "./delivered.ts";
import { endRun } from "./end-run.ts";
import type { RunFacts } from "./run-cache.ts";
import { ownedSecrets } from "./step-inputs.ts";

/**
 * Moves a run on when none of its steps is open any more: to waiting, to its checks, or to its end. Called in the same
 * transaction as whatever ended a step, so a run never stands still between two of them. Safe to repeat.
 */
export async function advanceRun(
  tx: Tx,
  deps: EngineDeps,
  at: {
    readonly runId: string;
    readonly facts: RunFacts;
    /** Whether a step is open still, where that was told just now. */
    readonly isOpen?: boolean | null;
  },
): Promise<void> {
  if (at.isOpen ?? (await tx.steps.anyOpen(at.runId))) return;
  const [run, troubled] = await Promise.all([
    tx.runs.get(at.runId),
    tx.steps.troubled(at.runId, troubledLimit),
  ]);
  if (run === null || run.status !== "running") return;
  if (run.cancelRequestedAt !== null)
    return endRun(tx, deps, { run, status: "cancelled", failure: null });
  const waiting = troubled.filter((step) => step.status === "waiting");
  if (waiting.length > 0) return waitForOperator(tx, deps, { run, waiting });
  const [failed] = troubled;
  if (failed !== undefined)
    return endRun(tx, deps, {
      run,
      status: "failed",
      failure: failureOfStep(failed, troubled.length),
    });
  if (run.stage !== "steps" || !applies.includes(run.kind))
    return endRun(tx, deps, { run, status: "succeeded", failure: null });
  const [records, secrets] = await Promise.all([
    tx.records.some(
      run.environmentId,
      at.facts.template.name,
      deliveringGroups(at.facts.template.body),
    ),
    ownedSecrets(tx, at.facts),
  ]);
  const found = deliveredOrFailure(at.facts, { records, secrets });
  if ("failure" in found)
    return endRun(tx, deps, { run, status: "failed", failure: found.failure });
  await putDelivered(tx, run, { values: found.values, now: timestamp(deps.clock) });
  if (await openChecks(tx, deps, run)) return;
  return endRun(tx, deps, { run, status: "succeeded", failure: null });
}

const applies: readonly Run["kind"][] = ["create", "update", "validate"];

/** What the groups delivered may not fit an output's or entrypoint's expression; that fails the run, not the transaction. */
function deliveredOrFailure(
  facts: RunFacts,
  {
    records,
    secrets,
  }: { readonly records: readonly GroupRecord[]; readonly secrets: readonly OwnedSecret[] },
): { readonly values: ReturnType<typeof delivered> } | { readonly failure: Failure } {
  try {
    return { values: delivered(facts, records, secrets) };
  } catch (error) {
    return { failure: failureOf(error) };
  }
}

/** At most so many failed steps are read to explain a failed run. */
const troubledLimit = 20;

function failureOfStep(step: Step, count: number): Failure {
  const others = count > 1 ? ` (and ${count - 1} more)` : "";
  const what = step.group === null ? step.key : `group ${step.group}`;
  const message = step.failure?.message ?? step.reason ?? "it failed";
  return {
    ...step.failure,
    code: step.failure?.code ?? "step-failed",
    message: `${what}: ${message}${others}`,
  };
}

async function waitForOperator(
  tx: Tx,
  deps: EngineDeps,
  of: { readonly run: Run; readonly waiting: readonly Step[] },
): Promise<void> {
  const [first] = of.waiting;
  if (first === undefined) return;
  const code = first.failure?.code;
  const kind: Blocker["kind"] =
    code === "suspected-leak"
      ? "suspected-leak"
      : code === "outcome-unknown"
        ? "outcome-unknown"
        : "approval";
  const reason = `${first.key}: ${first.failure?.message ?? first.reason ?? "it waits for a person"}`;
  await tx.runs.update(of.run.id, {
    status: "waiting",
    reason,
    blocker: { kind, on: of.waiting.map((step) => step.key) },
  });
  // The environment keeps its status; beside it stands what its run waits for.
  if (of.run.kind === "create" || of.run.kind === "update" || of.run.kind === "destroy")
    await tx.environments.update(of.run.environmentId, {
      reason,
      updatedAt: timestamp(deps.clock),
    });
  await appendRunEvent(tx, deps, { runId: of.run.id, type: "run.waiting" });
}

/** Stores what was delivered. Changed outputs make the environments that use them `outdated`; nothing runs by itself. */
async function putDelivered(
  tx: Tx,
  run: Run,
  of: { readonly values: ReturnType<typeof delivered>; readonly now: string },
): Promise<void> {
  const before = await tx.environments.get(run.environmentId);
  await tx.environments.update(run.environmentId, { ...of.values, updatedAt: of.now });
  if (
    before === null ||
    before.appliedGeneration === 0 ||
    comparable(before.outputs) === comparable(of.values.outputs)
  )
    return;
  const dependents = (await tx.environments.requiring(before.id)).filter(
    (dependent) => !dependent.outdated,
  );
  for (const dependent of dependents)
    await tx.environments.update(dependent.id, { outdated: true, updatedAt: of.now });
  const events = dependents.map((dependent) => ({
    type: "environment.outdated" as const,
    environmentId: dependent.id,
    subject: `environments/${dependent.name}`,
    data: environmentEventData({ ...dependent, outdated: true }),
  }));
  if (events.length > 0) await tx.events.append(events, of.now);
}

/** Everything is made: the checks open. False when there are none. */
async function openChecks(tx: Tx, deps: EngineDeps, run: Run): Promise<boolean> {
  const now = timestamp(deps.clock);
  if ((await tx.steps.openGate(run.id, "check", now)) === 0) return false;
  await tx.runs.update(run.id, { stage: "checks" });
  const environment = await tx.environments.get(run.environmentId);
  if (environment === null || environment.status === "deployed-validating") return true;
  await tx.environments.update(environment.id, {
    status: "deployed-validating",
    reason: "its checks are awaited",
  });
  const data = environmentEventData({
    ...environment,
    status: "deployed-validating",
    reason: "its checks are awaited",
  });
  await tx.events.append(
    [
      {
        type: "environment.validating",
        environmentId: environment.id,
        subject: `environments/${environment.name}`,
        runId: run.id,
        data,
      },
    ],
    now,
  );
  return true;
}

async function appendRunEvent(
  tx: Tx,
  deps: EngineDeps,
  of: { readonly runId: string; readonly type: "run.waiting" },
): Promise<void> {
  const run = await tx.runs.get(of.runId);
  const environment = run === null ? null : await tx.environments.get(run.environmentId);
  if (run === null || environment === null) return;
  const event = {
    type: of.type,
    environmentId: environment.id,
    subject: `environments/${environment.name}`,
    runId: run.id,
    data: runEventData(run),
  };
  await tx.events.append([event], timestamp(deps.clock));
}
