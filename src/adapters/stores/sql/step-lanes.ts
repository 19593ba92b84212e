import { atMost, statement } from "./session.ts";
import type { Session } from "./session.ts";
import { lanesWithWork } from "./step-heads.ts";
import { partsOfLane } from "./step-rows.ts";

const runsInLane = statement<{ readonly runId: string }>(
  `select distinct "runId" from "step" where "offered" = 1 and "lane" = ? order by "runId"`,
);

export async function askedLabels(session: Session): Promise<readonly (readonly string[])[]> {
  const lists = new Map<string, readonly string[]>();
  for (const lane of await lanesWithWork(session)) {
    const { runsOn } = partsOfLane(lane);
    lists.set(runsOn.join("+"), runsOn);
  }
  return [...lists.values()];
}

export async function runsAsking(
  session: Session,
  runsOn: readonly string[],
  limit: number,
): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const lane of await lanesWithWork(session)) {
    if (partsOfLane(lane).runsOn.join("+") !== runsOn.join("+")) continue;
    const rows = await atMost(session, { kept: runsInLane, limit }, lane);
    for (const { runId } of rows) found.add(runId);
  }
  return [...found].sort().slice(0, limit);
}
