import type { EndedStep, Fence, StepOutcome } from "../../../ports/work.ts";
import { isDue, tellOffers } from "../sql/step-offer.ts";
import { toJson } from "../sql/json.ts";
import { statement, type Cell, type Session } from "../sql/session.ts";
import { claimInPlace } from "../sql/step-claim.ts";
import { mayOwn } from "../sql/worker.ts";
import { databaseTime } from "./database-time.ts";
import type { Foreseen, Foresight, SeenRun, Taken, WaitingStep } from "./foresight.ts";
import { exclusive, isRunning } from "./rows.ts";

interface Nothing {
  readonly id: null;
}

/** Of a step `n` that waits for others. */
const waitingColumns = `"n".*, "n".xmin::text as "version"`;

/**
 * The end of a step whose run goes on with the one that waits for it alone, which is claimed in its place. Changes nothing, and
 * fails, unless all that it depends on is as it was foreseen: then nobody needs its answer, and it goes to the database with
 * whatever follows from it. Its rows are what waits for the claimed step, if anything does.
 */
const endForeseen = statement<WaitingStep | Nothing>(
  `with "held" as materialized (
    select "s"."worker" from "step" "s" join "run" "r" on "r"."id" = coalesce("s"."runId", '')
      join "environment" "e" on "e"."id" = coalesce("s"."environmentId", '')
    where "s"."id" = ? and "s"."token" = ? and ${isRunning("s")}
      and "r"."id" = ? and coalesce("r"."status", '') = 'running' and ("r"."kind" not in (${exclusive}) or "e"."activeRun" = "r"."id")
      and "r"."done" = ? and "r"."total" = ? and "r"."failed" = ? and "r"."skipped" = ?
      and "r"."attempt" = ? and "r"."parallelism" = ?
      and "e"."id" = ? and "e"."sequence" = ?
      and ${mayOwn(`"s"."worker"`, databaseTime)}
      and not exists (select 1 from "step" where "offered" = 1)
      and not exists (select 1 from "step" where ${isDue} and "availableAt" <= ?)),
  "taken" as (
    update "step" "n" set "waitingOn" = 0, "status" = 'running', "token" = "n"."token" + 1, "worker" = "h"."worker",
      "startedAt" = coalesce("n"."startedAt", ?)
    from "held" "h" where "n"."id" = ? and "n".xmin = ? returning "n"."id", "n"."token", "n"."worker"),
  "begun" as (
    insert into "attempt" ("stepId", "token", "worker", "startedAt", "finishedAt", "outcome", "failure", "child", "notes")
    select "id", "token", "worker", ?, null, null, 'null', 'null', '[]' from "taken"),
  "ended" as (
    update "step" set "status" = ?, "reason" = ?, "failure" = ?, "changes" = ?, "finishedAt" = ?, "offered" = 0,
      "attempts" = "attempts" + ? where "id" = ?),
  "endedAttempt" as (
    update "attempt" set "finishedAt" = ?, "outcome" = ?, "failure" = ? where "stepId" = ? and "token" = ?),
  "counted" as (
    update "run" set "done" = ?, "failed" = ?, "skipped" = ? where "id" = ?)
  select case when exists (select from "taken") then true else "unforeseen"() end as "isAsForeseen", ${waitingColumns}
  from (values (1)) "one" left join ("stepEdge" "d" join "step" "n" on "n"."id" = "d"."stepId") on "d"."upstreamId" = ?
  limit 2`,
);

/** Up to two steps that wait for one, with its run: more than one is as good as any number. */
const selectWaiting = statement<WaitingStep & Pick<SeenRun, "runAttempt" | "parallelism">>(
  `select ${waitingColumns}, "r"."attempt" as "runAttempt", "r"."parallelism" from "stepEdge" "d" join "step" "n" on "n"."id" = "d"."stepId"
     join "run" "r" on "r"."id" = "n"."runId"
   where "d"."upstreamId" = ? limit 2`,
);

/** Ends a step as it was foreseen. What it gives is given before the database has said so; when it is not so, all of it is undone. */
export async function endAsForeseen(
  foresight: Foresight,
  of: {
    readonly session: Session;
    readonly fence: Fence;
    readonly outcome: StepOutcome;
    readonly foreseen: Foreseen;
  },
): Promise<EndedStep> {
  const { session, fence, outcome, foreseen } = of;
  const { environmentId } = fence;
  session.locks.saw(environmentId, foreseen.sequence);
  session.locks.knows(fence.runId, environmentId);
  tellOffers(session, false);
  const { worker, next } = foreseen;
  const progress = progressAfter(foreseen.run, outcome);
  const claim = claimInPlace(session, next, { worker, now: outcome.now, ...foreseen.run });
  const { id, token } = claim.step;
  const taken = { id, token, environmentId, lane: next.lane, worker };
  const run = { ...foreseen.run, progress };
  const then = (rows: readonly (WaitingStep | Nothing)[]): void =>
    foresight.saw(session, { taken, run, waiting: rows.filter((row) => row.id !== null) });
  await session.runThen(endForeseen, then, ...cells(fence, outcome, foreseen));
  return { progress, isOpen: true };
}

/** Looks, for the end of a step that was claimed in place, what waits for it. Nobody waits for that. */
export async function foresee(
  foresight: Foresight,
  session: Session,
  of: { readonly taken: Taken; readonly progress: SeenRun["progress"] },
): Promise<void> {
  if (!foresight.isAllowed(session)) return;
  const { taken, progress } = of;
  await session.runThen(
    selectWaiting,
    (waiting) => {
      const [first] = waiting;
      if (first === undefined) return;
      const { runAttempt, parallelism } = first;
      foresight.saw(session, { taken, waiting, run: { progress, runAttempt, parallelism } });
    },
    taken.id,
  );
}

function progressAfter(
  { progress }: SeenRun,
  { progress: more = {} }: StepOutcome,
): SeenRun["progress"] {
  return {
    done: progress.done + (more.done ?? 0),
    total: progress.total,
    failed: progress.failed + (more.failed ?? 0),
    skipped: progress.skipped + (more.skipped ?? 0),
  };
}

/** In the order of the statement. */
function cells(fence: Fence, outcome: StepOutcome, foreseen: Foreseen): readonly Cell[] {
  const { stepId, runId, environmentId, token } = fence;
  const { status, reason, changes, now } = outcome;
  const { run, sequence, next } = foreseen;
  const failure = toJson(outcome.failure);
  const { done, total, failed, skipped } = run.progress;
  const { runAttempt, parallelism } = run;
  const held = [stepId, token, runId, done, total, failed, skipped, runAttempt, parallelism];
  const taken = [environmentId, sequence, now, now, next.id, next.version, now];
  const counted = status === "succeeded" ? 1 : 0;
  const ended = [status, reason, failure, toJson(changes), now, counted, stepId];
  const endedAttempt = [now, status, failure, stepId, token];
  const after = progressAfter(run, outcome);
  const counts = [after.done, after.failed, after.skipped, runId];
  return [held, taken, ended, endedAttempt, counts, next.id].flat();
}
