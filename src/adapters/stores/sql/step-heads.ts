import { statement } from "./session.ts";
import type { Session } from "./session.ts";

export interface Candidate {
  readonly id: string;
  readonly runId: string;
  readonly environmentId: string;
}

/** What is chosen among: steps that are to be looked at first, or those that have not begun. */
export type Pickable = "unknown" | "ready";

/** The first offered step of each of some runs of a lane, in the order of the runs. */
export interface Heads {
  /** Only runs after this one. */
  readonly after: string;
  readonly heads: readonly Candidate[];
  /** No run of the lane comes after them. */
  readonly isAll: boolean;
}

/** The lanes that hold offered steps, one look into the index for each. */
const selectLanes = statement<{ readonly lane: string }>(
  `with recursive "found" ("lane") as (
     select (select "lane" from "step" where "offered" = 1 order by "lane" limit 1)
     union all
     select (select "s"."lane" from "step" "s" where "s"."offered" = 1 and "s"."lane" > "found"."lane" order by "s"."lane" limit 1)
     from "found" where "found"."lane" is not null)
   select "lane" from "found" where "lane" is not null`,
);
const selectHeads = { unknown: headsOf("unknown"), ready: headsOf("ready") };

export async function lanesWithWork(session: Session): Promise<readonly string[]> {
  return (await session.all(selectLanes)).map(({ lane }) => lane);
}

/**
 * Up to so many of the lane's runs after this one. One question: where the database is far away, one for each would be most
 * of what a claim takes.
 */
export async function headsAfter(
  session: Session,
  at: { readonly lane: string; readonly after: string; readonly status: Pickable },
  most: number,
): Promise<Heads> {
  const { lane, after, status } = at;
  const heads = await session.all(selectHeads[status], lane, after, most);
  return { after, heads, isAll: heads.length < most };
}

/** What they know of the first run after `after`: undefined is nothing, null that there is none. */
export function firstAfter(known: readonly Heads[], after: string): Candidate | null | undefined {
  for (const { after: from, heads, isAll } of known) {
    if (from > after) continue;
    const found = heads.find(({ runId }) => runId > after);
    if (found !== undefined) return found;
    if (isAll) return null;
  }
  return undefined;
}

/** Goes from run to run: each is one look into the index, however many steps of a run are offered. */
function headsOf(status: Pickable) {
  const next = (lane: string, after: string): string =>
    `(select "s"."id" from "step" "s" where "s"."offered" = 1 and "s"."status" = '${status}' and "s"."lane" = ${lane}
        and "s"."runId" > ${after} order by "s"."runId", "s"."number" limit 1)`;
  return statement<Candidate>(
    `with recursive "head" ("id", "at") as (
       select ${next("?", "?")}, 1
       union all
       select ${next(`"last"."lane"`, `"last"."runId"`)}, "head"."at" + 1
       from "head" join "step" "last" on "last"."id" = "head"."id" where "head"."at" < ?)
     select "step"."id", "step"."runId", "step"."environmentId" from "head" join "step" on "step"."id" = "head"."id" order by "head"."at"`,
  );
}
