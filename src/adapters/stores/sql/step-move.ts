import type { RunStatus } from "../../../domain/run.ts";
import { isStepEnded } from "../../../domain/step.ts";
import type { Step, StepPhase } from "../../../domain/step.ts";
import type { StepRepository } from "../../../ports/work.ts";
import { toJson } from "./json.ts";
import { statement } from "./session.ts";
import type { Session } from "./session.ts";
import { offerSteps } from "./step-offer.ts";
import { stepOf } from "./step-rows.ts";
import type { StepRow } from "./step-rows.ts";

const openPhase = statement(
  `update "step" set "status" = 'ready'
   where "runId" = ? and "phase" = ? and "status" = 'blocked' and "waitingOn" = 0`,
);
const selectStatus = statement<{ readonly status: RunStatus }>(
  `select "status" from "run" where "id" = ?`,
);

/** As many keys as one statement takes without getting slow to prepare. */
const keysAtOnce = 200;

export async function moveSteps(
  session: Session,
  runId: string,
  move: Parameters<StepRepository["moveAll"]>[1],
): Promise<readonly Step[]> {
  await session.locks.holdRun(runId);
  const moved: StepRow[] = [];
  if (move.keys === undefined) moved.push(...(await moveSome(session, runId, move)));
  const keys = move.keys ?? [];
  for (let at = 0; at < keys.length; at += keysAtOnce) {
    const some = { ...move, keys: keys.slice(at, at + keysAtOnce) };
    moved.push(...(await moveSome(session, runId, some)));
    await session.pause();
  }
  await offerAgain(session, runId);
  return inOrder(moved);
}

async function moveSome(
  session: Session,
  runId: string,
  move: Parameters<StepRepository["moveAll"]>[1],
): Promise<readonly StepRow[]> {
  const from = move.from.filter((status) => status !== "running");
  if (from.length === 0) return [];
  let query = session.db
    .updateTable("step")
    .set({
      status: move.to,
      reason: move.reason,
      availableAt: null,
      offered: 0,
      finishedAt: isStepEnded(move.to) ? move.now : null,
    })
    .where("runId", "=", runId)
    .where("status", "in", from)
    .returningAll();
  if (move.keys !== undefined) query = query.where("key", "in", move.keys);
  return query.execute();
}

export async function reopenSteps(
  session: Session,
  runId: string,
  _now: string,
): Promise<readonly Step[]> {
  await session.locks.holdRun(runId);
  const gated = await checksMustWait(session, runId);
  const rows = await session.db
    .updateTable("step")
    .set(({ eb }) => ({
      status: eb
        .case()
        .when(
          eb.and([
            eb("waitingOn", "=", 0),
            ...(gated ? [eb("phase", "<>", "check" as const)] : []),
          ]),
        )
        .then("ready" as const)
        .else("blocked" as const)
        .end(),
      reason: null,
      failure: toJson(null),
      attempts: 0,
      availableAt: null,
      worker: null,
      startedAt: null,
      finishedAt: null,
      offered: 0,
    }))
    .where("runId", "=", runId)
    .where("status", "in", ["failed", "cancelled", "waiting"])
    .returningAll()
    .execute();
  await offerAgain(session, runId);
  return inOrder(rows);
}

/** Checks stay behind their gate while anything that they look at is still to be made. */
async function checksMustWait(session: Session, runId: string): Promise<boolean> {
  const unmade = await session.db
    .selectFrom("step")
    .select("id")
    .where("runId", "=", runId)
    .where("phase", "<>", "check")
    .where("status", "not in", ["succeeded", "skipped"])
    .limit(1)
    .executeTakeFirst();
  return unmade !== undefined;
}

export async function openGate(session: Session, runId: string, phase: StepPhase): Promise<number> {
  await session.locks.holdRun(runId);
  const opened = await session.change(openPhase, runId, phase);
  if (opened > 0) await offerAgain(session, runId);
  return opened;
}

/** Steps that became ready or unknown may be claimed when their run is running. */
export async function offerAgain(session: Session, runId: string): Promise<void> {
  const run = await session.one(selectStatus, runId);
  if (run?.status === "running") await offerSteps(session, runId, true);
}

function inOrder(rows: readonly StepRow[]): readonly Step[] {
  return rows.toSorted((a, b) => a.number - b.number).map((row) => stepOf(row));
}
