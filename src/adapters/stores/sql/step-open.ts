import { statement } from "./session.ts";
import type { Session } from "./session.ts";
import { indexedStatus } from "./step-rows.ts";

const anyWithStatus = statement(
  `select 1 from "step"
   where "runId" = ? and "status" in ('ready', 'running', 'unknown') and ${indexedStatus()} limit 1`,
);

/** Whether any step of the run is still to be worked on. */
export async function anyOpen(session: Session, runId: string): Promise<boolean> {
  return (await session.one(anyWithStatus, runId)) !== undefined;
}
