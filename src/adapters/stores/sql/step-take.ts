import type { Claim, ClaimRequest } from "../../../ports/work.ts";
import { statement } from "./session.ts";
import type { Session, TakenRow } from "./session.ts";
import { beginAttempt } from "./step-attempt.ts";
import { indexedStatus, stepOf } from "./step-rows.ts";
import { mayOwn } from "./worker.ts";

/**
 * Only with the status that it was seen with: since then another may have had it and been lost, and what has become unknown
 * meanwhile must not be taken for what was never begun. Only while the run is below its parallelism: asked in the same
 * statement, as each is a way to the database and back. Only by a worker that may own something, whatever it counts itself: from
 * one whose lease is over by the store's clock the step would be taken at once. Here that clock is the claim's `now`; a store
 * with another one has a text of its own. Written as it is so that the step is found by its id: by the index of what is
 * offered all that is offered would be read.
 */
export const take = statement<TakenRow>(
  `update "step" set "status" = 'running', "offered" = 0, "token" = "token" + 1, "worker" = ?, "availableAt" = null,
     "startedAt" = coalesce("startedAt", ?)
   where "id" = ? and "offered" <> 0 and "status" = ?
     and (select count(*) from "step" "other" where "other"."runId" = "step"."runId"
            and "other"."status" = 'running' and ${indexedStatus(`"other"`)})
       < (select "parallelism" from "run" where "run"."id" = "step"."runId")
     and ${mayOwn("?", "?")}
   returning *, (select "attempt" from "run" where "run"."id" = "step"."runId") as "runAttempt"`,
);
/**
 * A step that the transaction has inserted as ready, of the run, and only while nothing of other runs is offered: claims go round,
 * and none is taken past those that others wait with. Parameters: worker, its time, step, run.
 */
export const takeOwn = statement<TakenRow>(
  `update "step" set "status" = 'running', "offered" = 0, "token" = "token" + 1, "worker" = ?1, "availableAt" = null,
     "startedAt" = coalesce("startedAt", ?2)
   where "id" = ?3 and "offered" <> 0 and "status" = 'ready' and "runId" = ?4
     and not exists (select 1 from "step" "others" where "others"."offered" = 1 and "others"."runId" <> ?4)
     and (select count(*) from "step" "other" where "other"."runId" = ?4
            and "other"."status" = 'running' and ${indexedStatus(`"other"`)})
       < (select "parallelism" from "run" where "run"."id" = ?4)
     and ${mayOwn("?1", "?2")}
   returning *, (select "attempt" from "run" where "run"."id" = ?4) as "runAttempt"`,
);

/** What a step that was taken is to whoever has it: with its attempt, the intent. */
export async function claimOf(
  session: Session,
  row: TakenRow,
  { worker, now, settle }: Pick<ClaimRequest, "worker" | "now"> & Pick<Claim, "settle">,
): Promise<Claim> {
  await beginAttempt(session, { stepId: row.id, token: row.token, worker, now });
  return { step: stepOf(row), settle, runAttempt: row.runAttempt };
}
