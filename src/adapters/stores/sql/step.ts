import type { Attempt, Step, StepStatus } from "../../../domain/step.ts";
import type { Page, PageRequest } from "../../../ports/page.ts";
import type { StepRepository } from "../../../ports/work.ts";
import { toJson } from "./json.ts";
import { pageOf, readCursor } from "./paging.ts";
import { atMost, statement } from "./session.ts";
import type { Session } from "./session.ts";
import { abandonSteps, ownedSteps } from "./step-abandon.ts";
import { claimedInPlace, claimSteps } from "./step-claim.ts";
import { insertSteps } from "./step-insert.ts";
import { askedLabels, runsAsking } from "./step-lanes.ts";
import { moveSteps, openGate, reopenSteps } from "./step-move.ts";
import { attemptOf, indexedStatus, stepOf } from "./step-rows.ts";
import type { StepRow } from "./step-rows.ts";
import { anyOpen } from "./step-open.ts";
import { nextDue, putOffSteps } from "./step-later.ts";
import {
  addNotes,
  checkFence,
  checkLastClaim,
  endStep,
  parkStep,
  retryStep,
  setChild,
} from "./step-work.ts";

const selectStep = statement<StepRow>(`select * from "step" where "id" = ?`);
const storeInput = statement(`update "step" set "input" = ? where "id" = ?`);
const anyWaiting = statement(
  `select 1 from "step" where "runId" = ? and "status" = 'waiting' and ${indexedStatus()} limit 1`,
);
const countByStatus = statement<{ readonly status: StepStatus; readonly count: number }>(
  `select "status", count(*) as "count" from "step" where "runId" = ? group by "status"`,
);
const troubledOf = statement<StepRow>(
  `select * from "step" where "runId" = ? and "status" in ('waiting', 'failed') and ${indexedStatus()}
   order by case "status" when 'waiting' then 0 else 1 end, "finishedAt", "number"`,
);
export function steps(session: Session): StepRepository {
  return {
    insert: (added, dependsOn) => insertSteps(session, added, dependsOn),
    async get(id) {
      const row = await heldRow(session, () => session.one(selectStep, id));
      return row === undefined ? null : stepOf(row);
    },
    list: (runId, page) => list(session, runId, page),
    byKey: (runId, key) => byKey(session, runId, key),
    edges: (runId) => edges(session, runId),
    attempts: (stepId) => attempts(session, stepId),
    claim: (request) => claimSteps(session, request),
    inPlace: () => claimedInPlace(session),
    asked: () => askedLabels(session),
    runsAsking: (runsOn, limit) => runsAsking(session, runsOn, limit),
    nextDue: (now) => nextDue(session, now),
    async fence(fence) {
      await checkFence(session, fence);
    },
    fenceLast: (fence) => checkLastClaim(session, fence),
    end: (fence, outcome) => endStep(session, fence, outcome),
    retry: (fence, again) => retryStep(session, fence, again),
    park: (fence, waiting) => parkStep(session, fence, waiting),
    setChild: (fence, child) => setChild(session, fence, child),
    addNotes: (fence, notes) => addNotes(session, fence, notes),
    abandon: (request) => abandonSteps(session, request),
    ownedBy: (worker) => ownedSteps(session, worker),
    counts: (runId) => counts(session, runId),
    async anyOpen(runId) {
      await session.locks.holdRun(runId);
      return anyOpen(session, runId);
    },
    async anyWaiting(runId) {
      await session.locks.holdRun(runId);
      return (await session.one(anyWaiting, runId)) !== undefined;
    },
    troubled: (runId, limit) => troubled(session, runId, limit),
    putOff: (runIds, limit) => putOffSteps(session, runIds, limit),
    moveAll: (runId, move) => moveSteps(session, runId, move),
    reopen: (runId, now) => reopenSteps(session, runId, now),
    openGate: (runId, phase) => openGate(session, runId, phase),
    async setInput(stepId, input) {
      await session.run(storeInput, toJson(input), stepId);
    },
  };
}

/** Reads a row again when its environment was not held yet. */
async function heldRow(
  session: Session,
  select: () => Promise<StepRow | undefined>,
): Promise<StepRow | undefined> {
  const found = await select();
  if (found === undefined || session.locks.holds(found.environmentId)) return found;
  await session.locks.hold(found.environmentId);
  return select();
}

async function list(session: Session, runId: string, page: PageRequest): Promise<Page<Step>> {
  const after = readCursor(page);
  await session.locks.holdRun(runId);
  let query = session.db
    .selectFrom("step")
    .selectAll()
    .where("runId", "=", runId)
    .orderBy("number")
    .limit(page.limit + 1);
  if (after !== null) query = query.where("number", ">", after);
  return pageOf(await query.execute(), page.limit, { item: stepOf, place: (row) => row.number });
}

async function byKey(session: Session, runId: string, key: string): Promise<Step | null> {
  await session.locks.holdRun(runId);
  const row = await session.db
    .selectFrom("step")
    .selectAll()
    .where("runId", "=", runId)
    .where("key", "=", key)
    .executeTakeFirst();
  return row === undefined ? null : stepOf(row);
}

async function edges(
  session: Session,
  runId: string,
): Promise<readonly (readonly [string, string])[]> {
  const rows = await session.db
    .selectFrom("stepEdge")
    .select(["upstreamId", "stepId"])
    .where("runId", "=", runId)
    .execute();
  return rows.map((row) => [row.upstreamId, row.stepId] as const);
}

async function attempts(session: Session, stepId: string): Promise<readonly Attempt[]> {
  const rows = await session.db
    .selectFrom("attempt")
    .selectAll()
    .where("stepId", "=", stepId)
    .orderBy("token")
    .execute();
  return rows.map((row) => attemptOf(row));
}

async function troubled(session: Session, runId: string, limit: number): Promise<readonly Step[]> {
  await session.locks.holdRun(runId);
  const rows = await atMost(session, { kept: troubledOf, limit }, runId);
  return rows.map((row) => stepOf(row));
}

async function counts(
  session: Session,
  runId: string,
): Promise<Readonly<Record<StepStatus, number>>> {
  const none: Record<StepStatus, number> = {
    blocked: 0,
    ready: 0,
    running: 0,
    waiting: 0,
    succeeded: 0,
    failed: 0,
    skipped: 0,
    cancelled: 0,
    unknown: 0,
  };
  for (const { status, count } of await session.all(countByStatus, runId)) none[status] = count;
  return none;
}
