import type { Step } from "../../../domain/step.ts";
import { toJson } from "./json.ts";
import { atMost, padded, placeholders, statement } from "./session.ts";
import type { Session } from "./session.ts";
import { stepOf } from "./step-rows.ts";
import type { StepRow } from "./step-rows.ts";

/** The condition of the index of steps that are put off (`stepLater`), word for word. */
const isLater = `"offered" = 0 and "availableAt" is not null and "status" in ('ready', 'unknown')`;

const earliest = statement<{ readonly availableAt: string }>(
  `select "availableAt" from "step"
   where ${isLater} and "availableAt" > ?
     and exists (select 1 from "run" where "run"."id" = "step"."runId" and "run"."status" = 'running')
   order by "availableAt" limit 1`,
);

export async function nextDue(session: Session, now: string): Promise<string | null> {
  return (await session.one(earliest, now))?.availableAt ?? null;
}

export async function putOffSteps(
  session: Session,
  runIds: readonly string[],
  limit: number,
): Promise<readonly Step[]> {
  if (runIds.length === 0) return [];
  const kept = statement<StepRow>(
    `select * from "step" where ${isLater} and "failure" <> '${toJson(null)}'
       and "runId" in (${placeholders(runIds.length)}) order by "availableAt", "number"`,
  );
  const rows = await atMost(session, { kept, limit }, ...padded(runIds));
  return rows.map((row) => stepOf(row));
}
