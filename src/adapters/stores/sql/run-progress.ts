import type { Run } from "../../../domain/run.ts";
import { statement } from "./session.ts";
import type { Session } from "./session.ts";

const add = statement(
  `update "run" set "done" = "done" + ?, "total" = "total" + ?, "failed" = "failed" + ?, "skipped" = "skipped" + ?
   where "id" = ?`,
);
const select = statement<Run["progress"]>(
  `select "done", "total", "failed", "skipped" from "run" where "id" = ?`,
);

/** Adds to the counts of the run. */
export async function addProgress(
  session: Session,
  runId: string,
  { done = 0, total = 0, failed = 0, skipped = 0 }: Partial<Run["progress"]>,
): Promise<void> {
  await session.run(add, done, total, failed, skipped, runId);
}

/** Adds to the counts of the run and gives them as they are now. Null: there is no such run. */
export async function countProgress(
  session: Session,
  runId: string,
  delta: Partial<Run["progress"]>,
): Promise<Run["progress"] | null> {
  await addProgress(session, runId, delta);
  const now = await session.one(select, runId);
  return now === undefined ? null : { ...now };
}
