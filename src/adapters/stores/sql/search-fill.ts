import type { Selectable } from "kysely";
import type { Log } from "../../../ports/telemetry.ts";
import type { Json } from "../../../lib/json.ts";
import { indexEnvironment, indexObserved, indexResource, indexTemplate } from "./document.ts";
import { fromJson } from "./json.ts";
import { statement, type Session, type Statement } from "./session.ts";
import type { Tables } from "./tables.ts";

interface Fill {
  readonly noun: "template" | "environment";
  readonly after: string;
}

const nextFill = statement<Fill>(
  `select "noun", "after" from "searchFill" order by "noun" limit 1`,
);
/** One process at a time fills; another one finds the row changed or gone. */
const takeFill: Statement<Fill> = statement(
  `update "searchFill" set "after" = "after" where "noun" = ? returning "noun", "after"`,
);
const moveFill = statement(`update "searchFill" set "after" = ? where "noun" = ?`);
const endFill = statement(`delete from "searchFill" where "noun" = ?`);
const nextTemplates = statement<
  Pick<Selectable<Tables["template"]>, "id" | "name" | "version" | "description" | "tags">
>(
  `select "id", "name", "version", "description", "tags" from "template" where "id" > ? order by "id" limit 200`,
);
const nextEnvironment = statement<{ readonly id: string }>(
  `select "id" from "environment" where "id" > ? and "status" <> 'destroyed' and not "prospective"
   order by "id" limit 1`,
);
const environmentRow = statement<Selectable<Tables["environment"]>>(
  `select * from "environment" where "id" = ? and "status" <> 'destroyed'`,
);
const resourceRows = statement<Selectable<Tables["resource"]>>(
  `select * from "resource" where "environmentId" = ? order by "number"`,
);
const observedRows = statement<Selectable<Tables["observed"]>>(
  `select * from "observed" where "environmentId" = ? order by "template", "group", "address"`,
);

/** The rest of it is in the schema: workers of programs that do not index are told by what is missing in `searchWriter`. */
const allAgain = statement(
  `insert into "searchFill" ("noun", "after")
   select n."noun", '' from (select 'template' as "noun" union all select 'environment') n
   where exists (select 1 from "schemaVersion" where "name" = 'search' and "appliedAt" > ?)
     or exists (select 1 from "worker" where not exists (select 1 from "searchWriter" w
       where w."worker" = "worker"."id" and w."startedAt" = "worker"."startedAt"))
   on conflict ("noun") do update set "after" = ''`,
);
const forgetDestroyed = statement(
  `delete from "document" where "subjectId" in (select "id" from "environment" where "status" = 'destroyed')`,
);

interface FillOptions {
  /** Runs a transaction. */
  readonly step: (some: (session: Session) => Promise<boolean>) => Promise<boolean>;
  readonly log: Pick<Log, "warn">;
  /**
   * When the index was made after this time, all is gone through again: a program of before that has no worker may have written
   * beside it. Null where only one program writes at a time.
   */
  readonly againSince: string | null;
}

/**
 * Indexes what was written before there was an index, or since then by a program of before, step by step. What is as it should
 * be stays. That it cannot be done now keeps no server from starting: the next start goes on with it.
 */
export async function fillAll({ step, log, againSince }: FillOptions): Promise<void> {
  try {
    await step(async (session) => {
      await session.run(allAgain, againSince);
      if ((await session.one(nextFill)) !== undefined) await session.run(forgetDestroyed);
      return false;
    });
    while (await step(fillSome));
  } catch (error) {
    log.warn("What was there before is not all indexed for search; the next start goes on", {
      error,
    });
  }
}

/**
 * Indexes some of what was written before there was an index, in a transaction of its own. True when there may be more: call it
 * again. Costs one look when all is indexed. Safe to repeat and to be cut off.
 */
async function fillSome(session: Session): Promise<boolean> {
  const next = await session.one(nextFill);
  if (next === undefined) return false;
  const taken = await session.one(takeFill, next.noun);
  if (taken === undefined) return true;
  const last =
    taken.noun === "template"
      ? await fillTemplates(session, taken.after)
      : await fillEnvironment(session, taken.after);
  if (last === null) await session.run(endFill, taken.noun);
  else await session.run(moveFill, last, taken.noun);
  return true;
}

async function fillTemplates(session: Session, after: string): Promise<string | null> {
  await session.locks.alone("templates");
  const rows = await session.all(nextTemplates, after);
  for (const row of rows) await indexTemplate(session, { ...row, tags: fromJson(row.tags) });
  return rows.at(-1)?.id ?? null;
}

/** Its row, its resources, and what was observed in it. */
async function fillEnvironment(session: Session, after: string): Promise<string | null> {
  const next = await session.one(nextEnvironment, after);
  if (next === undefined) return null;
  await session.locks.hold(next.id);
  const environment = await session.one(environmentRow, next.id);
  if (environment === undefined) return next.id;
  const { tags, desired } = environment;
  await indexEnvironment(session, {
    ...environment,
    tags: fromJson(tags),
    desired: fromJson(desired),
  });
  for (const row of await session.all(resourceRows, next.id))
    await indexResource(session, { ...row, tags: fromJson(row.tags) }, row.id);
  for (const row of await session.all(observedRows, next.id)) {
    const attributes: Readonly<Record<string, Json>> = fromJson(row.attributes);
    await indexObserved(session, { ...row, attributes });
  }
  return next.id;
}
