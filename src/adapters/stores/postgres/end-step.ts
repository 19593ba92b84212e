import type { EndedStep, Fence, StepOutcome } from "../../../ports/work.ts";
import { toJson } from "../sql/json.ts";
import { keepInPlace } from "../sql/step-claim.ts";
import { tellOffers } from "../sql/step-offer.ts";
import { statement } from "../sql/session.ts";
import type { Cell, Dialect, Session } from "../sql/session.ts";
import { indexedStatus, stepOf, type StepRow } from "../sql/step-rows.ts";
import { mayOwn } from "../sql/worker.ts";
import { databaseTime } from "./database-time.ts";
import { endAsForeseen, foresee } from "./end-foreseen.ts";
import type { Foresight } from "./foresight.ts";
import { exclusive, isRunning, rowsOf } from "./rows.ts";

/** What the end of a step came to. */
interface Ended {
  readonly done: number;
  readonly total: number;
  readonly failed: number;
  readonly skipped: number;
  readonly isOpen: boolean;
  /** Steps may be claimed now that nobody was woken for. */
  readonly releases: boolean;
  readonly areOffered: boolean;
}

/** A step that was claimed in its place: a row of its own, as a join would look at all that are claimed for each that ends. */
interface Claimed extends StepRow {
  readonly done: null;
  readonly worker: string;
  readonly runAttempt: number;
}

/** Stands for the text below, which takes the ends of any number of steps. */
export const endOne = statement<Ended | Claimed>("end a step");

const columns =
  "stepId runId environmentId token status reason failure changes now counted outcome done failed skipped inPlace".split(
    " ",
  );
const due = `"offered" = 0 and "availableAt" is not null and "status" in ('ready', 'unknown')`;

/**
 * The fence and all that the end of a step changes, in one statement: as its environment is held, nobody else changes any of
 * it. All parts see what was before them, so that what is open afterwards is reckoned: another step that was, or one that
 * this end has released. Of those the first that takes the place of the ended one is claimed at once, unless something else could be:
 * the claim goes round, and this must not go past it.
 */
export const endAll = `with "held" as materialized (
    select "i".*, "r"."status" as "runStatus", "r"."attempt" as "runAttempt", "r"."parallelism", "s"."lane", "s"."worker"
    from ${rowsOf("tttn tttttn tnnnb", columns)}
    join "step" "s" on "s"."id" = "i"."stepId" and "s"."token" = "i"."token"
      and coalesce("s"."runId", '') = "i"."runId" and coalesce("s"."environmentId", '') = "i"."environmentId"
      and ${isRunning("s")}
    join "run" "r" on "r"."id" = "i"."runId"
    join "environment" "e" on "e"."id" = "i"."environmentId"
    where "r"."kind" not in (${exclusive}) or "e"."activeRun" = "i"."runId"),
  "others" as materialized (
    select exists (select 1 from "step" where "offered" = 1)
      or exists (select 1 from "step" where ${due} and "availableAt" <= (select max("now") from "held")) as "areOffered"),
  "ended" as (
    update "step" "s" set "status" = "h"."status", "reason" = "h"."reason", "failure" = "h"."failure",
      "changes" = "h"."changes", "finishedAt" = "h"."now", "offered" = 0, "attempts" = "s"."attempts" + "h"."counted"
    from "held" "h" where "s"."id" = "h"."stepId"),
  "endedAttempt" as (
    update "attempt" "a" set "finishedAt" = "h"."now", "outcome" = "h"."outcome", "failure" = "h"."failure"
    from "held" "h" where "a"."stepId" = "h"."stepId" and "a"."token" = "h"."token"),
  "next" as materialized (
    select "n".*, "n"."opens" and "n"."runStatus" = 'running' as "isOffered",
      "n"."opens" and "n"."inPlace" and "n"."runStatus" = 'running' and "n"."isAlike" and not "others"."areOffered"
        and row_number() over (partition by "n"."at", "n"."opens" and "n"."isAlike" order by "n"."number") = 1
        and (select count(*) from "step" "o" where "o"."runId" = "n"."runId" and "o"."id" <> "n"."stepId"
               and ${isRunning("o")} and ${indexedStatus(`"o"`)}) < "n"."parallelism"
        and ${mayOwn(`"n"."worker"`, databaseTime)} as "isTaken"
    from (select "s"."id", "s"."number", "s"."waitingOn" = 1 and "s"."status" = 'blocked' as "opens", "s"."lane" = "h"."lane" as "isAlike",
        "h"."at", "h"."stepId", "h"."runId", "h"."runStatus", "h"."runAttempt", "h"."parallelism", "h"."worker", "h"."now", "h"."inPlace"
      from "held" "h" join "stepEdge" "d" on "d"."upstreamId" = "h"."stepId" join "step" "s" on "s"."id" = "d"."stepId"
      where "h"."status" in ('succeeded', 'skipped')) "n" cross join "others"),
  "released" as (
    update "step" "s" set "waitingOn" = "s"."waitingOn" - 1,
      "status" = case when not "n"."opens" then "s"."status" when "n"."isTaken" then 'running' else 'ready' end,
      "offered" = case when not "n"."opens" then "s"."offered" when "n"."isOffered" and not "n"."isTaken" then 1 else 0 end,
      "token" = "s"."token" + case when "n"."isTaken" then 1 else 0 end,
      "worker" = case when "n"."isTaken" then "n"."worker" else "s"."worker" end,
      "startedAt" = case when "n"."isTaken" then coalesce("s"."startedAt", "n"."now") else "s"."startedAt" end
    from "next" "n" where "s"."id" = "n"."id"
    returning "s".*, "n"."at" as "of", "n"."now", "n"."runAttempt", "n"."isTaken"),
  "begun" as (
    insert into "attempt" ("stepId", "token", "worker", "startedAt", "finishedAt", "outcome", "failure", "child", "notes")
    select "id", "token", "worker", "now", null, null, 'null', 'null', '[]' from "released" where "isTaken"),
  "opened" as materialized (
    select "at", count(*) filter (where "opens") as "opened",
      count(*) filter (where "isOffered" and not "isTaken") as "left" from "next" group by "at"),
  "counted" as (
    update "run" "r" set "done" = "r"."done" + "h"."done", "failed" = "r"."failed" + "h"."failed",
      "skipped" = "r"."skipped" + "h"."skipped"
    from "held" "h" where "r"."id" = "h"."runId"
    returning "h"."at", "r"."done", "r"."total", "r"."failed", "r"."skipped",
      exists (select 1 from "step" "o" where "o"."runId" = "h"."runId" and "o"."id" <> "h"."stepId"
        and "o"."status" in ('ready', 'running', 'unknown') and ${indexedStatus(`"o"`)}) as "wasOpen",
      coalesce((select "opened" from "opened" "x" where "x"."at" = "h"."at"), 0) as "opened",
      coalesce((select "left" from "opened" "x" where "x"."at" = "h"."at"), 0) as "left")
  select "c"."at", "c"."done", "c"."total", "c"."failed", "c"."skipped", "c"."wasOpen" or "c"."opened" > 0 as "isOpen",
    "c"."left" > 0 as "releases", "others"."areOffered" or "c"."left" > 0 as "areOffered", "n".*
  from "counted" "c" cross join "others" left join "released" "n" on false
  union all
  select "n"."of", null, null, null, null, null, null, null, "n".* from "released" "n" where "n"."isTaken"`;

/** Ends steps in one way to the database and back; in none of its own where it is known what the end will find. */
export function endsOfSteps(foresight: Foresight): NonNullable<Dialect["endStep"]> {
  return async (session, fence, outcome) => {
    await session.locks.hold(fence.environmentId);
    const isReleasing = outcome.status === "succeeded" || outcome.status === "skipped";
    const foreseen = isReleasing && session.mayClaimInPlace ? foresight.take(session, fence) : null;
    if (foreseen !== null) return endAsForeseen(foresight, { session, fence, outcome, foreseen });
    return endAtOnce(foresight, { session, fence, outcome });
  };
}

/** Null: the fence does not hold, and nothing was changed. */
async function endAtOnce(
  foresight: Foresight,
  of: { readonly session: Session; readonly fence: Fence; readonly outcome: StepOutcome },
): Promise<EndedStep | null> {
  const { session, fence } = of;
  const rows = await session.all(endOne, ...cells(of));
  const row = rows.find(isEnd);
  if (row === undefined) return null;
  session.locks.knows(fence.runId, fence.environmentId);
  tellOffers(session, row.areOffered);
  if (row.releases) session.touch("steps");
  const { done, total, failed, skipped, isOpen } = row;
  const progress = { done, total, failed, skipped };
  for (const taken of rows) {
    if (isEnd(taken)) continue;
    keepInPlace(session, { step: stepOf(taken), settle: false, runAttempt: taken.runAttempt });
    await foresee(foresight, session, { taken, progress });
  }
  return { progress, isOpen };
}

/** In the order of the columns. */
function cells(of: {
  readonly session: Session;
  readonly fence: Fence;
  readonly outcome: StepOutcome;
}): readonly Cell[] {
  const { session, fence, outcome } = of;
  const { status, reason, failure, changes, now, progress = {} } = outcome;
  const { done = 0, failed = 0, skipped = 0 } = progress;
  return [
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
    session.mayClaimInPlace,
  ];
}

function isEnd(row: Ended | Claimed): row is Ended {
  return row.done !== null;
}
