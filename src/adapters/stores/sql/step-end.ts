import { exclusiveKinds } from "../../../domain/run.ts";
import type { Run } from "../../../domain/run.ts";
import type { EndedStep, Fence, StepOutcome } from "../../../ports/work.ts";
import { toJson } from "./json.ts";
import { addProgress } from "./run-progress.ts";
import { statement } from "./session.ts";
import type { Session } from "./session.ts";
import { beginAttempt, endAttempt } from "./step-attempt.ts";
import { claimInPlace } from "./step-claim.ts";
import { isDue, tellOffers } from "./step-offer.ts";
import { anyOpen } from "./step-open.ts";
import { indexedStatus, type StepRow } from "./step-rows.ts";
import { mayOwn } from "./worker.ts";

/** Not as a list: SQLite makes a table of one each time the statement runs. */
const isShared = exclusiveKinds.map((kind) => `"run"."kind" <> '${kind}'`).join(" and ");
/** With the fence in it, unless the first question says that it is not asked. */
const finish = statement(
  `update "step" set "status" = ?, "reason" = ?, "failure" = ?, "changes" = ?, "finishedAt" = ?, "offered" = 0,
     "attempts" = "attempts" + ?
   where "id" = ? and "runId" = ? and "environmentId" = ? and (? or ("status" = 'running' and "token" = ?
     and exists (select 1 from "run" where "run"."id" = "step"."runId" and ((${isShared})
       or "run"."id" = (select "activeRun" from "environment" where "environment"."id" = "step"."environmentId")))))`,
);

/** What the end of a step leads to depends on: the run as it is after it, and the step that comes after. */
interface After extends Omit<StepRow, "id"> {
  readonly done: number;
  readonly total: number;
  readonly failed: number;
  readonly skipped: number;
  readonly runStatus: Run["status"];
  readonly runAttempt: number;
  readonly parallelism: number;
  readonly sequence: number;
  /** Steps of the run that run. */
  readonly running: number;
  /** The next one is counted by the same place as the ended one, and asks for the same labels. Null: there is none. */
  readonly isAlike: number | boolean | null;
  readonly endedBy: string | null;
  readonly mayOwn: number | boolean;
  /** Something may be claimed, or its time has come, before anything is released. */
  readonly areOffered: number | boolean;
  /** Of the next step, and so are the columns of steps. Null: there is none. */
  readonly id: string | null;
}

const areOffered = `exists (select 1 from "step" where "offered" = 1)
  or exists (select 1 from "step" where ${isDue} and "availableAt" <= ?)`;
/** One question, up to two rows: the first that follows, and whether others do. */
const selectAfter = statement<After>(
  `select "r"."done", "r"."total", "r"."failed", "r"."skipped", "r"."status" as "runStatus", "r"."attempt" as "runAttempt",
     "r"."parallelism", "e"."sequence", "s"."worker" as "endedBy", "n"."lane" = "s"."lane" as "isAlike",
     (select count(*) from "step" "o" where "o"."runId" = "r"."id" and "o"."status" = 'running' and ${indexedStatus(`"o"`)})
       as "running",
     ${mayOwn(`"s"."worker"`, "?")} as "mayOwn", ${areOffered} as "areOffered", "n".*
   from "step" "s" join "run" "r" on "r"."id" = "s"."runId" join "environment" "e" on "e"."id" = "s"."environmentId"
     left join "stepEdge" "d" on "d"."upstreamId" = "s"."id" left join "step" "n" on "n"."id" = "d"."stepId"
   where "s"."id" = ? order by "d"."stepId" limit 2`,
);

const countDown = `update "step" set "waitingOn" = "waitingOn" - 1`;
/** Names no column of the indexes of open steps, so it leaves them alone. */
const countDownOne = statement(`${countDown} where "id" = ?`);
/** Never offered: that would write the page of the index of what is offered for nothing. */
const takeNext = statement(
  `${countDown}, "status" = 'running', "token" = "token" + 1, "worker" = ?, "startedAt" = coalesce("startedAt", ?)
   where "id" = ?`,
);
const openNext = statement(`${countDown}, "status" = 'ready', "offered" = ? where "id" = ?`);
const opens = `"waitingOn" = 1 and "status" = 'blocked'`;
const openAll = statement<Pick<StepRow, "status">>(
  `${countDown}, "status" = case when ${opens} then 'ready' else "status" end,
     "offered" = case when ${opens} then ? else "offered" end
   where "id" in (select "stepId" from "stepEdge" where "upstreamId" = ?) returning "status"`,
);

/**
 * Ends a step in a row of small statements: for where asking costs little, and every page of a row or an index that is written
 * costs. Null: the fence does not hold, and nothing was changed.
 */
export async function endInTurn(
  session: Session,
  fence: Fence,
  outcome: StepOutcome,
): Promise<EndedStep | null> {
  const { status, failure, now } = outcome;
  const { stepId, runId, environmentId } = fence;
  await session.locks.hold(environmentId);
  if (!(await finishStep(session, fence, outcome))) return null;
  session.locks.knows(runId, environmentId);
  const ended = status === "cancelled" ? "interrupted" : status;
  await endAttempt(session, fence, { outcome: ended, failure, now });
  await addProgress(session, runId, outcome.progress ?? {});
  const [first, second] = await session.all(selectAfter, now, now, stepId);
  if (first === undefined) return { progress: null, isOpen: await anyOpen(session, runId) };
  session.locks.saw(environmentId, first.sequence);
  const { done, total, failed, skipped } = first;
  const isReleasing = status === "succeeded" || status === "skipped";
  const isNextOpen = isReleasing && (await release(session, fence, { first, second, now }));
  return {
    progress: { done, total, failed, skipped },
    isOpen: isNextOpen || (await anyOpen(session, runId)),
  };
}

async function finishStep(
  session: Session,
  { stepId, runId, environmentId, token }: Fence,
  { status, reason, failure, changes, now }: StepOutcome,
): Promise<boolean> {
  const counted = status === "succeeded" || status === "failed" ? 1 : 0;
  const what = [status, reason, toJson(failure), toJson(changes), now, counted] as const;
  const { unsafeWithoutFence } = session.dialect;
  const place = [stepId, runId, environmentId] as const;
  return (await session.change(finish, ...what, ...place, unsafeWithoutFence, token)) > 0;
}

/** Releases what waited for the step. Says whether a step is open by it. */
async function release(
  session: Session,
  fence: Fence,
  after: { readonly first: After; readonly second: After | undefined; readonly now: string },
): Promise<boolean> {
  const { first, second, now } = after;
  const { id } = first;
  if (id === null) return false;
  const offered = first.runStatus === "running" ? 1 : 0;
  if (second !== undefined) {
    const released = await session.all(openAll, offered, fence.stepId);
    if (!released.some(({ status }) => status === "ready")) return false;
  } else if (first.waitingOn !== 1 || first.status !== "blocked") {
    await session.run(countDownOne, id);
    return false;
  } else if (mayTake(session, first)) {
    await claimNext(session, { ...first, id }, now);
    return true;
  } else await session.run(openNext, offered, id);
  session.touch("steps");
  tellOffers(session, offered === 1 || Boolean(first.areOffered));
  return true;
}

/** The claim goes round, and this must not go past it: nothing else may be waiting for one. */
function mayTake(session: Session, next: After): boolean {
  const { runStatus, running, parallelism } = next;
  const hasRoom = runStatus === "running" && running < parallelism;
  const isNext = Boolean(next.isAlike) && !next.areOffered;
  return session.mayClaimInPlace && hasRoom && isNext && Boolean(next.mayOwn);
}

/** Claims the step in the ended one's place, for its worker, with its attempt: the intent. */
async function claimNext(
  session: Session,
  next: After & Pick<StepRow, "id">,
  now: string,
): Promise<void> {
  const { id, endedBy: worker } = next;
  if (worker === null) return;
  const token = next.token + 1;
  await session.run(takeNext, worker, now, id);
  await beginAttempt(session, { stepId: id, token, worker, now });
  tellOffers(session, false);
  claimInPlace(session, next, { worker, now, runAttempt: next.runAttempt });
}
