import { statement } from "./session.ts";
import { indexedStatus } from "./step-rows.ts";
import type { Session } from "./session.ts";

export interface DueStep {
  readonly id: string;
  readonly environmentId: string;
}

const offer = statement(
  `update "step" set "offered" = 1
   where "runId" = ? and "status" in ('ready', 'unknown') and ${indexedStatus}
     and "offered" = 0 and "availableAt" is null`,
);
const withdraw = statement(
  `update "step" set "offered" = 0
   where "runId" = ? and "status" in ('ready', 'unknown') and ${indexedStatus} and "offered" = 1`,
);
const selectDue = statement<DueStep>(
  `select "id", "environmentId" from "step"
   where "offered" = 0 and "availableAt" is not null and "status" in ('ready', 'unknown') and "availableAt" <= ?
     and exists (select 1 from "run" where "run"."id" = "step"."runId" and "run"."status" = 'running')
   order by "availableAt"`,
);
const offerDue = statement(
  `update "step" set "offered" = 1
   where "id" = ? and "offered" <> 1 and "availableAt" is not null and "status" in ('ready', 'unknown')
     and exists (select 1 from "run" where "run"."id" = "step"."runId" and "run"."status" = 'running')`,
);

/** Keeps the index of claims true when a run starts or stops running. Steps with a time are offered when it has come. */
export async function offerSteps(session: Session, runId: string, running: boolean): Promise<void> {
  if (running) {
    session.touch("steps");
    return session.run(offer, runId);
  }
  if ((await session.change(withdraw, runId)) > 0) session.touch("steps");
}

/** Steps whose time has come, to be offered. */
export function dueSteps(session: Session, now: string): Promise<readonly DueStep[]> {
  return session.all(selectDue, now);
}

/** Offers them. Those of environments that another transaction holds come at the next look. */
export async function offerDueSteps(session: Session, due: readonly DueStep[]): Promise<void> {
  for (const { id, environmentId } of due)
    if (await session.locks.tryHold(environmentId)) await session.run(offerDue, id);
}
