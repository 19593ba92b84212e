import type { Retention } from "../../../ports/store.ts";
import type { Session } from "./session.ts";

/** Rows that one transaction removes at most, so that nobody waits long for it. */
const rowsAtOnce = 1_000;

/**
 * Removes some of what has outlived its retention, in one short transaction. True when there is more: call it again.
 * Safe to repeat. Commands that have not ended stay, and the newest event stays: its position says what comes next.
 */
export async function pruneSome(session: Session, retention: Retention): Promise<boolean> {
  const { journalBefore, logsBefore, commandsBefore, plansBefore } = retention;
  const removed = [
    journalBefore === undefined ? 0 : await pruneJournal(session, journalBefore),
    logsBefore === undefined ? 0 : await pruneLogs(session, logsBefore),
    commandsBefore === undefined ? 0 : await pruneCommands(session, commandsBefore),
    plansBefore === undefined ? 0 : await prunePlans(session, plansBefore),
  ];
  return removed.some((count) => count >= rowsAtOnce);
}

/** From the front, up to the first event that is young enough: positions stay without holes. */
async function pruneJournal(session: Session, before: string): Promise<number> {
  const front = await session.db
    .selectFrom("event")
    .select(["position", "time"])
    .orderBy("position")
    .limit(rowsAtOnce + 1)
    .execute();
  const young = front.findIndex(({ time }) => time >= before);
  const old = front.slice(0, young === -1 ? -1 : young).slice(0, rowsAtOnce);
  const last = old.at(-1);
  if (last === undefined) return 0;
  await session.db.deleteFrom("event").where("position", "<=", last.position).execute();
  return old.length;
}

/** Logs of the steps of runs that ended before; run by run, so that a run is done once its logs are gone. */
async function pruneLogs(session: Session, before: string): Promise<number> {
  const run = await session.db
    .selectFrom("run")
    .select("id")
    .where("finishedAt", "is not", null)
    .where("logsPruned", "=", 0)
    .where("finishedAt", "<", before)
    .orderBy("finishedAt")
    .limit(1)
    .executeTakeFirst();
  if (run === undefined) return 0;
  const lines = await session.db
    .selectFrom("step")
    .innerJoin("log", "log.stepId", "step.id")
    .select(["log.stepId", "log.number"])
    .where("step.runId", "=", run.id)
    .limit(rowsAtOnce)
    .execute();
  for (const { stepId, number } of lines) {
    await session.db
      .deleteFrom("log")
      .where("stepId", "=", stepId)
      .where("number", "=", number)
      .execute();
  }
  if (lines.length < rowsAtOnce) {
    await session.db.updateTable("run").set({ logsPruned: 1 }).where("id", "=", run.id).execute();
  }
  // Another run may wait behind this one.
  return rowsAtOnce;
}

async function pruneCommands(session: Session, before: string): Promise<number> {
  const removed = await session.db
    .deleteFrom("command")
    .where("number", "in", (inner) =>
      inner
        .selectFrom("command as old")
        .select("old.number")
        .where("old.status", "<>", "accepted")
        .where("old.createdAt", "<", before)
        .orderBy("old.createdAt")
        .limit(rowsAtOnce),
    )
    .executeTakeFirst();
  return Number(removed.numDeletedRows);
}

async function prunePlans(session: Session, before: string): Promise<number> {
  const removed = await session.db
    .deleteFrom("plan")
    .where("number", "in", (inner) =>
      inner
        .selectFrom("plan as old")
        .select("old.number")
        .where("old.expiresAt", "<", before)
        .orderBy("old.expiresAt")
        .limit(rowsAtOnce),
    )
    .executeTakeFirst();
  return Number(removed.numDeletedRows);
}
