import type { Run } from "../../../domain/run.ts";
import { statement } from "./session.ts";
import type { Session } from "./session.ts";

const addProgress = statement<Run["progress"]>(
  `update "run" set "done" = "done" + ?, "total" = "total" + ?, "failed" = "failed" + ?, "skipped" = "skipped" + ?
   where "id" = ? returning "done", "total", "failed", "skipped"`,
);

/** Adds to the counts of the run and gives them as they are now. Null: there is no such run. */
export async function countProgress(
  session: Session,
  runId: string,
  { done = 0, total = 0, failed = 0, skipped = 0 }: Partial<Run["progress"]>,
): Promise<Run["progress"] | null> {
  const now = await session.one(addProgress, done, total, failed, skipped, runId);
  return now === undefined ? null : { ...now };
}
