import type { ChildIdentity, Step } from "../../../domain/step.ts";
import { takeoverMarginMs } from "../../../domain/lease.ts";
import type { AbandonRequest, OwnedStep } from "../../../ports/work.ts";
import { fromJson } from "./json.ts";
import type { JsonText } from "./json.ts";
import { statement } from "./session.ts";
import type { Session } from "./session.ts";
import { offerAgain } from "./step-move.ts";
import { indexedStatus, stepOf } from "./step-rows.ts";
import type { StepRow } from "./step-rows.ts";
import type { WorkerRow } from "./worker.ts";

interface Running {
  readonly id: string;
  readonly environmentId: string;
  readonly token: number;
  readonly worker: string;
  readonly child: JsonText<ChildIdentity | null>;
}

/** By way of the runs in flight: no index of running steps needs to be kept for this rare question. */
const running = `select s."id", s."environmentId", s."token", s."worker", a."child" from "step" s
   join "attempt" a on a."stepId" = s."id" and a."token" = s."token"
   where s."runId" in (select "id" from "run" where "status" in ('running', 'waiting'))
     and s."status" = 'running' and ${indexedStatus("s")}`;
const ofOthers = statement<Running>(
  `${running} and s."worker" <> ? order by s."worker", s."number"`,
);
const ofWorker = statement<Running>(`${running} and s."worker" = ? order by s."number"`);
const selectOwner = `select * from "worker" where "id" = ?`;
const makeUnknown = statement<StepRow>(
  `update "step" set "status" = 'unknown', "availableAt" = null, "offered" = 0
   where "id" = ? and "token" = ? and "status" = 'running' returning *`,
);
const endAttempt = statement(
  `update "attempt" set "outcome" = 'unknown', "finishedAt" = ? where "stepId" = ? and "token" = ?`,
);

/**
 * Looks at each owner's row under its lock, so that a renewal of its lease comes wholly before (and saves its steps) or
 * wholly after (and finds them taken).
 */
export async function abandonSteps(
  session: Session,
  { worker, now, dead = [] }: AbandonRequest,
): Promise<readonly Step[]> {
  const found = await session.all(ofOthers, worker);
  if (found.length === 0) return [];
  const proven = new Set(dead.map(({ stepId, token }) => `${stepId} ${token}`));
  const mayTake = await ownersEnd(session, found);
  const taken: StepRow[] = [];
  for (const step of found) {
    const child = fromJson(step.child);
    if (!proven.has(`${step.id} ${step.token}`) && !mayTake(step.worker, child)) continue;
    // What is being changed just now is left to the next look.
    if (!(await session.locks.tryHold(step.environmentId))) continue;
    const row = await session.one(makeUnknown, step.id, step.token);
    if (row === undefined) continue;
    await session.run(endAttempt, now, step.id, step.token);
    taken.push(row);
  }
  for (const runId of new Set(taken.map((row) => row.runId))) await offerAgain(session, runId);
  return taken.toSorted((a, b) => a.number - b.number).map((row) => stepOf(row));
}

export async function ownedSteps(session: Session, worker: string): Promise<readonly OwnedStep[]> {
  const rows = await session.all(ofWorker, worker);
  return rows.map(({ id, token, child }) => ({ stepId: id, token, child: fromJson(child) }));
}

/** Says of an owner and a child of it whether the store knows them to have ended. Owners are locked in order of their ids. */
async function ownersEnd(
  session: Session,
  found: readonly Running[],
): Promise<(owner: string, child: ChildIdentity | null) => boolean> {
  const select = statement<WorkerRow>(`${selectOwner}${session.dialect.lockRow}`);
  const owners = new Map<string, WorkerRow>();
  for (const id of new Set(found.map((step) => step.worker))) {
    const row = await session.one(select, id);
    if (row !== undefined) owners.set(id, row);
  }
  const nowMs = Date.parse(await session.time());
  return (owner, child) => {
    const row = owners.get(owner);
    if (row === undefined || row.status === "gone") return true;
    if (row.leaseEndsAt === null) return false;
    const stopsWithinMs = child?.stopsWithinMs ?? 0;
    return Date.parse(row.leaseEndsAt) + stopsWithinMs + takeoverMarginMs <= nowMs;
  };
}
