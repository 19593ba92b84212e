import { GlasshouseError } from "../../../domain/errors.ts";
import { exclusiveKinds } from "../../../domain/run.ts";
import type { RunKind, RunStatus } from "../../../domain/run.ts";
import type { ChildIdentity, StepStatus } from "../../../domain/step.ts";
import type { EndedStep, Fence, StepOutcome, StepRepository } from "../../../ports/work.ts";
import type { Json } from "../../../lib/json.ts";
import { fromJson, toJson } from "./json.ts";
import type { JsonText } from "./json.ts";
import { statement } from "./session.ts";
import type { Session } from "./session.ts";
import { endAttempt } from "./step-attempt.ts";
import { endInTurn } from "./step-end.ts";

interface Held {
  readonly status: StepStatus;
  readonly token: number;
  readonly kind: RunKind;
  readonly runStatus: RunStatus;
  readonly activeRun: string | null;
}

const selectFence = statement<Held>(
  `select s."status", s."token", r."kind", r."status" as "runStatus", e."activeRun"
   from "step" s join "run" r on r."id" = s."runId" join "environment" e on e."id" = s."environmentId"
   where s."id" = ? and s."runId" = ? and s."environmentId" = ?`,
);
const again = statement(
  `update "step" set "status" = ?, "reason" = ?, "failure" = ?, "availableAt" = ?, "attempts" = "attempts" + ?,
     "worker" = null, "offered" = ? where "id" = ?`,
);
const park = statement(
  `update "step" set "status" = 'waiting', "reason" = ?, "failure" = ?, "worker" = null, "offered" = 0 where "id" = ?`,
);
const storeChild = statement(`update "attempt" set "child" = ? where "stepId" = ? and "token" = ?`);
const selectNotes = statement<{ readonly notes: JsonText<readonly Json[]> }>(
  `select "notes" from "attempt" where "stepId" = ? and "token" = ?`,
);
const storeNotes = statement(`update "attempt" set "notes" = ? where "stepId" = ? and "token" = ?`);

/** Errors: `stale-token` unless the worker still owns the step and its run still holds the environment. */
export async function checkFence(session: Session, fence: Fence): Promise<Held> {
  const held = await heldAt(session, fence);
  if (held !== undefined && (session.dialect.unsafeWithoutFence || holds(held, fence))) return held;
  throw stale(fence, whyNot(held, fence));
}

/** Errors: `stale-token` when this is not the step's newest claim; the step may have ended. */
export async function checkLastClaim(session: Session, fence: Fence): Promise<void> {
  const held = await heldAt(session, fence);
  if (held !== undefined && (session.dialect.unsafeWithoutFence || held.token === fence.token))
    return;
  throw stale(fence, whyNot(held, fence));
}

async function heldAt(session: Session, fence: Fence): Promise<Held | undefined> {
  await session.locks.hold(fence.environmentId);
  const held = await session.one(selectFence, fence.stepId, fence.runId, fence.environmentId);
  if (held !== undefined) session.locks.knows(fence.runId, fence.environmentId);
  return held;
}

function stale(fence: Fence, why: string): GlasshouseError {
  return new GlasshouseError(
    "stale-token",
    `Claim ${fence.token} of step ${fence.stepId} in run ${fence.runId} does not hold: ${why}.`,
  );
}

function holds(held: Held, fence: Fence): boolean {
  const ownsEnvironment = !exclusiveKinds.includes(held.kind) || held.activeRun === fence.runId;
  return held.status === "running" && held.token === fence.token && ownsEnvironment;
}

function whyNot(held: Held | undefined, fence: Fence): string {
  if (held === undefined) return "there is no such step";
  if (held.token !== fence.token) return `its newest claim is ${held.token}`;
  if (held.status !== "running") return `the step is ${held.status}`;
  return `the environment's active run is ${held.activeRun ?? "none"}`;
}

export async function endStep(
  session: Session,
  fence: Fence,
  outcome: StepOutcome,
): Promise<EndedStep> {
  const { endStep: atOnce = endInTurn } = session.dialect;
  const ended = await atOnce(session, fence, outcome);
  if (ended !== null) return ended;
  throw stale(fence, whyNot(await heldAt(session, fence), fence));
}

export async function retryStep(
  session: Session,
  fence: Fence,
  { availableAt, counts, unknown, reason, failure, now }: Parameters<StepRepository["retry"]>[1],
): Promise<void> {
  const held = await checkFence(session, fence);
  const offered = held.runStatus === "running" && availableAt === null ? 1 : 0;
  const what = [reason, toJson(failure), availableAt, counts ? 1 : 0] as const;
  const status = unknown === true ? "unknown" : "ready";
  await session.run(again, status, ...what, offered, fence.stepId);
  const known = counts ? "retrying" : "interrupted";
  const outcome = unknown === true ? "unknown" : known;
  await endAttempt(session, fence, { outcome, failure, now });
  session.touch("steps");
}

export async function parkStep(
  session: Session,
  fence: Fence,
  { reason, failure, now }: Parameters<StepRepository["park"]>[1],
): Promise<void> {
  await checkFence(session, fence);
  await session.run(park, reason, toJson(failure), fence.stepId);
  const unknown = failure.code === "outcome-unknown" || failure.code === "suspected-leak";
  await endAttempt(session, fence, { outcome: unknown ? "unknown" : "failed", failure, now });
}

export async function setChild(
  session: Session,
  fence: Fence,
  child: ChildIdentity,
): Promise<void> {
  await checkFence(session, fence);
  await session.run(storeChild, toJson(child), fence.stepId, fence.token);
}

export async function addNotes(
  session: Session,
  fence: Fence,
  notes: readonly Json[],
): Promise<void> {
  await checkFence(session, fence);
  const row = await session.one(selectNotes, fence.stepId, fence.token);
  const before = row === undefined ? [] : fromJson(row.notes);
  await session.run(storeNotes, toJson([...before, ...notes]), fence.stepId, fence.token);
}
