import { GlasshouseError } from "../../../domain/errors.ts";
import type { Failure } from "../../../domain/errors.ts";
import { exclusiveKinds } from "../../../domain/run.ts";
import type { RunKind, RunStatus } from "../../../domain/run.ts";
import type { Attempt, ChildIdentity, StepStatus } from "../../../domain/step.ts";
import type { EndedStep, Fence, StepOutcome, StepRepository } from "../../../ports/work.ts";
import type { Json } from "../../../lib/json.ts";
import { fromJson, toJson } from "./json.ts";
import type { JsonText } from "./json.ts";
import { countProgress } from "./run-progress.ts";
import { statement } from "./session.ts";
import type { Session } from "./session.ts";
import { anyOpen } from "./step-open.ts";

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
const exclusive = exclusiveKinds.map((kind) => `'${kind}'`).join(", ");
/** With the fence in it, unless the first question says that it is not asked. */
const finish = statement<Pick<Held, "runStatus">>(
  `update "step" set "status" = ?, "reason" = ?, "failure" = ?, "changes" = ?, "finishedAt" = ?, "offered" = 0,
     "attempts" = "attempts" + ?
   where "id" = ? and "runId" = ? and "environmentId" = ? and (? or ("status" = 'running' and "token" = ?
     and exists (select 1 from "run" where "run"."id" = "step"."runId" and ("run"."kind" not in (${exclusive})
       or "run"."id" = (select "activeRun" from "environment" where "environment"."id" = "step"."environmentId")))))
   returning (select "status" from "run" where "run"."id" = "step"."runId") as "runStatus"`,
);
const release = statement<{ readonly status: StepStatus }>(
  `update "step" set "waitingOn" = "waitingOn" - 1,
     "status" = case when "waitingOn" = 1 and "status" = 'blocked' then 'ready' else "status" end,
     "offered" = case when "waitingOn" = 1 and "status" = 'blocked' then ? else "offered" end
   where "id" in (select "stepId" from "stepEdge" where "upstreamId" = ?) returning "status"`,
);
const finishAttempt = statement(
  `update "attempt" set "finishedAt" = ?, "outcome" = ?, "failure" = ? where "stepId" = ? and "token" = ?`,
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
  const { endStep: atOnce } = session.dialect;
  if (atOnce !== undefined) {
    const ended = await atOnce(session, fence, outcome);
    if (ended !== null) return ended;
    throw stale(fence, whyNot(await heldAt(session, fence), fence));
  }
  const released = await storeEnd(session, fence, outcome);
  const progress = await countProgress(session, fence.runId, outcome.progress ?? {});
  return { progress, isOpen: released || (await anyOpen(session, fence.runId)) };
}

/** Says whether a step became ready by it. */
async function storeEnd(session: Session, fence: Fence, outcome: StepOutcome): Promise<boolean> {
  const { status, reason, failure, changes, now } = outcome;
  const counted = status === "succeeded" || status === "failed" ? 1 : 0;
  const { stepId, runId, environmentId, token } = fence;
  await session.locks.hold(environmentId);
  const ended = await session.one(
    finish,
    status,
    reason,
    toJson(failure),
    toJson(changes),
    now,
    counted,
    stepId,
    runId,
    environmentId,
    session.dialect.unsafeWithoutFence,
    token,
  );
  if (ended === undefined) throw stale(fence, whyNot(await heldAt(session, fence), fence));
  session.locks.knows(runId, environmentId);
  await endAttempt(session, fence, {
    outcome: status === "cancelled" ? "interrupted" : status,
    failure,
    now,
  });
  if (status !== "succeeded" && status !== "skipped") return false;
  const offered = ended.runStatus === "running" ? 1 : 0;
  const released = await session.all(release, offered, stepId);
  const isReady = released.some((step) => step.status === "ready");
  if (isReady) session.touch("steps");
  return isReady;
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

async function endAttempt(
  session: Session,
  fence: Fence,
  ended: {
    readonly outcome: Attempt["outcome"];
    readonly failure: Failure | null;
    readonly now: string;
  },
): Promise<void> {
  const what = [ended.now, ended.outcome, toJson(ended.failure)] as const;
  await session.run(finishAttempt, ...what, fence.stepId, fence.token);
}
