import { exclusiveKinds } from "../../../domain/run.ts";
import type { EndedStep, Fence, StepOutcome } from "../../../ports/work.ts";
import { toJson } from "../sql/json.ts";
import { fewOffered, lookAhead } from "../sql/step-offer.ts";
import { statement } from "../sql/session.ts";
import type { Session } from "../sql/session.ts";
import { indexedStatus } from "../sql/step-rows.ts";
import { rowsOf } from "./rows.ts";

interface Ended {
  readonly done: number;
  readonly total: number;
  readonly failed: number;
  readonly skipped: number;
  readonly isOpen: boolean;
  readonly releases: boolean;
}

/** Stands for the text below, which takes the ends of any number of steps. */
export const endOne = statement<Ended>("end a step");

const columns =
  "stepId runId environmentId token status reason failure changes now counted outcome done failed skipped".split(
    " ",
  );
const exclusive = exclusiveKinds.map((kind) => `'${kind}'`).join(", ");

/**
 * The fence and all that the end of a step changes, in one statement: as its environment is held, nobody else changes any of
 * it. All parts see what was before them, so that what is open afterwards is reckoned: another step that was, or one that
 * this end has released.
 */
export const endAll = `with "held" as materialized (
    select "i".*, "r"."status" as "runStatus" from ${rowsOf("tttn tttttn tnnn", columns)}
    join "step" "s" on "s"."id" = "i"."stepId" and "s"."runId" = "i"."runId"
      and "s"."environmentId" = "i"."environmentId" and "s"."token" = "i"."token" and "s"."status" = 'running'
    join "run" "r" on "r"."id" = "i"."runId"
    join "environment" "e" on "e"."id" = "i"."environmentId"
    where "r"."kind" not in (${exclusive}) or "e"."activeRun" = "i"."runId"),
  "ended" as (
    update "step" "s" set "status" = "h"."status", "reason" = "h"."reason", "failure" = "h"."failure",
      "changes" = "h"."changes", "finishedAt" = "h"."now", "offered" = 0, "attempts" = "s"."attempts" + "h"."counted"
    from "held" "h" where "s"."id" = "h"."stepId"),
  "endedAttempt" as (
    update "attempt" "a" set "finishedAt" = "h"."now", "outcome" = "h"."outcome", "failure" = "h"."failure"
    from "held" "h" where "a"."stepId" = "h"."stepId" and "a"."token" = "h"."token"),
  "released" as (
    update "step" "s" set "waitingOn" = "s"."waitingOn" - 1,
      "status" = case when "s"."waitingOn" = 1 and "s"."status" = 'blocked' then 'ready' else "s"."status" end,
      "offered" = case when "s"."waitingOn" = 1 and "s"."status" = 'blocked'
        then case when "h"."runStatus" = 'running' then 1 else 0 end else "s"."offered" end
    from "held" "h" join "stepEdge" "d" on "d"."upstreamId" = "h"."stepId"
    where "s"."id" = "d"."stepId" and "h"."status" in ('succeeded', 'skipped')
    returning "s"."runId", "s"."status"),
  "counted" as (
    update "run" "r" set "done" = "r"."done" + "h"."done", "failed" = "r"."failed" + "h"."failed",
      "skipped" = "r"."skipped" + "h"."skipped"
    from "held" "h" where "r"."id" = "h"."runId"
    returning "r"."id", "r"."done", "r"."total", "r"."failed", "r"."skipped"),
  "asked" as (
    select "h"."at", "h"."runId",
      exists (select 1 from "step" "o" where "o"."runId" = "h"."runId" and "o"."id" <> "h"."stepId"
        and "o"."status" in ('ready', 'running', 'unknown') and "o".${indexedStatus}) as "wasOpen",
      exists (select 1 from "released" "x" where "x"."runId" = "h"."runId" and "x"."status" = 'ready') as "releases"
    from "held" "h")
  select "a"."at", "a"."wasOpen" or "a"."releases" as "isOpen", "a"."releases",
    "c"."done", "c"."total", "c"."failed", "c"."skipped"
  from "asked" "a" join "counted" "c" on "c"."id" = "a"."runId"`;

/** Null: the fence does not hold, and nothing was changed. */
export async function endAtOnce(
  session: Session,
  fence: Fence,
  outcome: StepOutcome,
): Promise<EndedStep | null> {
  const { status, reason, failure, changes, now, progress = {} } = outcome;
  const { done = 0, failed = 0, skipped = 0 } = progress;
  await session.locks.hold(fence.environmentId);
  const ended = session.one(
    endOne,
    fence.stepId,
    fence.runId,
    fence.environmentId,
    fence.token,
    status,
    reason,
    toJson(failure),
    toJson(changes),
    now,
    status === "succeeded" || status === "failed" ? 1 : 0,
    status === "cancelled" ? "interrupted" : status,
    done,
    failed,
    skipped,
  );
  // Those who share a transaction claim once for all, when all have ended.
  if (!session.isShared) lookAhead(session, now, fewOffered);
  const row = await ended;
  if (row === undefined) return null;
  session.locks.knows(fence.runId, fence.environmentId);
  if (row.releases) session.touch("steps");
  const { isOpen, releases: _releases, ...counts } = row;
  return { progress: counts, isOpen };
}
