import type { StepStatus } from "../../../domain/step.ts";
import { atMost, statement } from "./session.ts";
import { indexedStatus } from "./step-rows.ts";
import type { Session } from "./session.ts";

interface Candidate {
  readonly id: string;
  readonly runId: string;
  readonly environmentId: string;
}

export interface Offered extends Candidate {
  readonly lane: string;
  readonly status: StepStatus;
}

export interface DueStep {
  readonly id: string;
  readonly environmentId: string;
}

const offer = statement(
  `update "step" set "offered" = 1
   where "runId" = ? and "status" in ('ready', 'unknown') and ${indexedStatus()}
     and "offered" = 0 and "availableAt" is null`,
);
const withdraw = statement(
  `update "step" set "offered" = 0
   where "runId" = ? and "status" in ('ready', 'unknown') and ${indexedStatus()} and "offered" = 1 returning "id"`,
);
/** Steps with a time, word for word as in the index of them. */
export const isDue = `"offered" = 0 and "availableAt" is not null and "status" in ('ready', 'unknown')`;
const selectDue = statement<DueStep>(
  `select "id", "environmentId" from "step"
   where ${isDue} and "availableAt" <= ?
     and exists (select 1 from "run" where "run"."id" = "step"."runId" and "run"."status" = 'running')
   order by "availableAt"`,
);
const offerDue = statement(
  `update "step" set "offered" = 1
   where "id" = ? and "offered" <> 1 and "availableAt" is not null and "status" in ('ready', 'unknown')
     and exists (select 1 from "run" where "run"."id" = "step"."runId" and "run"."status" = 'running')`,
);

/** When no more steps than this, or twice what is asked for, are offered, one question fetches them all. */
export const fewOffered = 31;
const someOffered = statement<Offered>(
  `select "id", "runId", "environmentId", "lane", "status" from "step"
   where "offered" = 1 order by "lane", "runId", "number"`,
);

/** What may be claimed. */
interface Offers {
  readonly due: readonly DueStep[];
  /** Up to so many as were asked for, and one more. */
  readonly offered: readonly Offered[];
}

/**
 * Transactions in which steps have ended, and whether something can be claimed after that as far as their ends could tell.
 * What is offered in them in another way than by a step's end must be asked for.
 */
const afterEnds = new WeakMap<object, boolean>();

/** Notes what a step's end has told: whether something is offered, or due, that it did not claim itself. */
export function tellOffers(session: Session, areOffered: boolean): void {
  const before = afterEnds.get(session.transaction) ?? false;
  afterEnds.set(session.transaction, before || areOffered);
}

const none: Offers = { due: [], offered: [] };

/**
 * Both questions go out together: hardly ever has a step's time just come. Neither does where the ends of steps have just
 * told: there they would be a way to the database and back for nothing.
 */
export async function offersNow(session: Session, now: string, few: number): Promise<Offers> {
  if (afterEnds.get(session.transaction) === false) return none;
  const some = atMost(session, { kept: someOffered, limit: few + 1 });
  const [due, offered] = await Promise.all([session.all(selectDue, now), some]);
  return { due, offered };
}

/** Keeps the index of claims true when a run starts or stops running. Steps with a time are offered when it has come. */
export async function offerSteps(session: Session, runId: string, running: boolean): Promise<void> {
  tellOffers(session, true);
  if (running) {
    session.touch("steps");
    return session.run(offer, runId);
  }
  const wake = (withdrawn: readonly unknown[]): void => {
    if (withdrawn.length > 0) session.touch("steps");
  };
  await session.runThen(withdraw, wake, runId);
}

/** Offers them. Those of environments that another transaction holds come at the next look. */
export async function offerDueSteps(session: Session, due: readonly DueStep[]): Promise<void> {
  for (const { id, environmentId } of due)
    if (await session.locks.tryHold(environmentId)) await session.run(offerDue, id);
}
