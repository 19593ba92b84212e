import type { Selectable } from "kysely";
import { exclusiveKinds } from "../../../domain/run.ts";
import type { Run } from "../../../domain/run.ts";
import type { RunRepository } from "../../../ports/work.ts";
import { fromJson, toJson, toJsonIfGiven } from "./json.ts";
import { pageOf, readCursor } from "./paging.ts";
import { atMost, insertion, patchRow, statement } from "./session.ts";
import type { Session } from "./session.ts";
import { countProgress } from "./run-progress.ts";
import { offerSteps } from "./step-offer.ts";
import type { Tables } from "./tables.ts";

const selectUsers = statement<Selectable<Tables["run"]>>(
  `select * from "run" where "id" in (select "runId" from "environmentUse" where "environmentId" = ?) order by "number"`,
);
const releaseUses = statement(`delete from "environmentUse" where "runId" = ?`);
const selectRun = statement<Selectable<Tables["run"]>>(`select * from "run" where "id" = ?`);

// The engine asks these two in nearly every pass.
const selectCancelling = statement<Selectable<Tables["run"]>>(
  `select * from "run" where "status" in ('running', 'waiting') and "cancelRequestedAt" is not null order by "number"`,
);
// Statuses stand in the text: a plan that is kept for any status cannot use the indexes of some.
const selectQueue = statement<Selectable<Tables["run"]>>(
  `select * from "run" where "environmentId" = ? and "status" = 'queued' order by "number"`,
);
const countQueued = statement<{ readonly count: number }>(
  `select count(*) as "count" from "run" where "status" = 'queued'`,
);
const selectInFlight = statement<Selectable<Tables["run"]>>(
  `select * from "run" where "status" in ('running', 'waiting') order by "number"`,
);
const exclusive = exclusiveKinds.map((kind) => `'${kind}'`).join(", ");
const selectStartable = statement<Selectable<Tables["run"]>>(
  `select * from "run" where "status" = 'queued' and ("kind" not in (${exclusive}) or (
     exists (select 1 from "environment" where "environment"."id" = "run"."environmentId" and "environment"."activeRun" is null)
     and "number" = (select min("older"."number") from "run" as "older"
       where "older"."environmentId" = "run"."environmentId" and "older"."status" = 'queued' and "older"."kind" in (${exclusive}))))
   order by "number"`,
);

export function runs(session: Session): RunRepository {
  return {
    insert: (run) => insert(session, run),
    async get(id) {
      const row = await selectHeld(session, id);
      return row === undefined ? null : runOf(row);
    },
    update: (id, patch) => update(session, id, patch),
    async addProgress(id, change) {
      await session.locks.holdRun(id);
      return countProgress(session, id, change);
    },
    async list(filter, page) {
      const before = readCursor(page);
      let query = select(session)
        .orderBy("number", "desc")
        .limit(page.limit + 1);
      if (before !== null) query = query.where("number", "<", before);
      if (filter.environmentId !== undefined)
        query = query.where("environmentId", "=", filter.environmentId);
      if (filter.status !== undefined) query = query.where("status", "=", filter.status);
      return pageOf(await query.execute(), page.limit, { item: runOf, place: (row) => row.number });
    },
    async queue(environmentId) {
      await session.locks.hold(environmentId);
      const rows = await session.all(selectQueue, environmentId);
      return rows.map((row) => runOf(row));
    },
    async countQueued() {
      return (await session.one(countQueued))?.count ?? 0;
    },
    async startable(limit) {
      const rows = await atMost(session, { kept: selectStartable, limit });
      return rows.map((row) => runOf(row));
    },
    async inFlight() {
      const rows = await session.all(selectInFlight);
      return rows.map((row) => runOf(row));
    },
    async cancelling() {
      const rows = await session.all(selectCancelling);
      return rows.map((row) => runOf(row));
    },
    ...uses(session),
  };
}

function uses(session: Session): Pick<RunRepository, "usersOf" | "use" | "releaseUses"> {
  return {
    async usersOf(environmentId) {
      await session.locks.hold(environmentId);
      const rows = await session.all(selectUsers, environmentId);
      return rows.map((row) => runOf(row));
    },
    async use(runId, environmentIds) {
      if (environmentIds.length === 0) return;
      // Who destroys what is used must see that it is.
      for (const id of environmentIds.toSorted()) await session.locks.hold(id);
      await session.db
        .insertInto("environmentUse")
        .values([...new Set(environmentIds)].map((environmentId) => ({ runId, environmentId })))
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    },
    async releaseUses(runId) {
      session.touch("queue");
      await session.run(releaseUses, runId);
    },
  };
}

/** The row as it is while its environment is held. */
async function selectHeld(
  session: Session,
  id: string,
): Promise<Selectable<Tables["run"]> | undefined> {
  const found = await session.one(selectRun, id);
  if (found === undefined) return undefined;
  session.locks.knows(id, found.environmentId);
  if (session.locks.holds(found.environmentId)) return found;
  await session.locks.hold(found.environmentId);
  return session.one(selectRun, id);
}

async function insert(session: Session, run: Run): Promise<void> {
  session.touch("queue");
  session.locks.knows(run.id, run.environmentId);
  await session.locks.hold(run.environmentId);
  const { progress, ...plain } = run;
  const row = {
    ...plain,
    ...progress,
    blocker: toJson(run.blocker),
    failure: toJson(run.failure),
    desired: toJson(run.desired),
    options: toJson(run.options),
    parallelism: run.options.parallelism,
    logsPruned: 0,
  };
  const { kept, cells } = insertion("run", row);
  await session.run(kept, ...cells);
}

async function update(
  session: Session,
  id: string,
  patch: Parameters<RunRepository["update"]>[1],
): Promise<void> {
  if (Object.keys(patch).length === 0) return;
  session.touch("queue");
  await session.locks.holdRun(id);
  const { progress, ...plain } = patch;
  const row = {
    ...plain,
    ...progress,
    blocker: toJsonIfGiven(patch.blocker),
    failure: toJsonIfGiven(patch.failure),
    desired: toJsonIfGiven(patch.desired),
    options: toJsonIfGiven(patch.options),
    parallelism: patch.options?.parallelism,
    // A run that goes on writes logs again.
    logsPruned: patch.status === "running" ? 0 : undefined,
  };
  await patchRow(session, "run", { id, patch: row });
  if (patch.status !== undefined) await offerSteps(session, id, patch.status === "running");
}

function select(session: Session) {
  return session.db.selectFrom("run").selectAll("run");
}

function runOf(row: Selectable<Tables["run"]>): Run {
  const {
    number: _number,
    parallelism: _parallelism,
    logsPruned: _logsPruned,
    done,
    total,
    failed,
    skipped,
    ...plain
  } = row;
  return {
    ...plain,
    blocker: fromJson(row.blocker),
    failure: fromJson(row.failure),
    desired: fromJson(row.desired),
    options: fromJson(row.options),
    killRequested: Boolean(row.killRequested),
    progress: { done, total, failed, skipped },
  };
}
