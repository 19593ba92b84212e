import type { Selectable } from "kysely";
import type { NewWorker, Worker } from "../../../domain/worker.ts";
import type { WorkerRepository } from "../../../ports/worker.ts";
import { fromJson, toJson } from "./json.ts";
import { statement } from "./session.ts";
import type { Session } from "./session.ts";
import { indexedStatus } from "./step-rows.ts";
import type { Tables } from "./tables.ts";

export type WorkerRow = Selectable<Tables["worker"]>;

/** A process that has been silent for so long and owns nothing is not coming back under this id. */
const forgottenAfterMs = 3_600_000;

/** By way of the runs in flight, as running steps have no index of their own. */
const ownsSteps = `exists (select 1 from "step" where "runId" in (select "id" from "run" where "status" in ('running', 'waiting'))
  and "status" = 'running' and ${indexedStatus()} and "step"."worker" = "worker"."id")`;

/** SQL that says whether a worker (its id) may own something: it is known, not gone, and its lease not over at `now`. */
export function mayOwn(worker: string, now: string): string {
  return `exists (select 1 from "worker" where "worker"."id" = ${worker} and "worker"."status" <> 'gone'
    and ("worker"."leaseEndsAt" is null or "worker"."leaseEndsAt" > ${now}))`;
}

const put = statement(
  `insert into "worker" ("id", "labels", "process", "version", "startedAt", "status", "leaseEndsAt")
   values (?, ?, ?, ?, ?, 'working', ?)
   on conflict ("id") do update set "labels" = excluded."labels", "process" = excluded."process",
     "version" = excluded."version", "startedAt" = excluded."startedAt", "status" = excluded."status",
     "leaseEndsAt" = excluded."leaseEndsAt"`,
);
const renew = statement(
  `update "worker" set "leaseEndsAt" = ? where "id" = ? and "status" <> 'gone'`,
);
const setStatus = statement(
  `update "worker" set "status" = ? where "id" = ? and "status" <> 'gone' and "status" <> ?`,
);
const othersGone = statement(
  `update "worker" set "status" = 'gone' where "id" <> ? and "status" <> 'gone'`,
);
const selectOne = statement<WorkerRow>(`select * from "worker" where "id" = ?`);
const selectAll = statement<WorkerRow>(
  `select * from "worker" where "status" <> 'gone' or ${ownsSteps} order by "id"`,
);
const removeGone = statement(
  `delete from "worker" where ("status" = 'gone' or "leaseEndsAt" < ?) and not ${ownsSteps}`,
);

export function workers(session: Session): WorkerRepository {
  return {
    put: (worker, leaseMs) => putWorker(session, worker, leaseMs),
    async renew(id, leaseMs) {
      return (await session.change(renew, await fromNow(session, leaseMs), id)) > 0;
    },
    async setStatus(id, status) {
      if ((await session.change(setStatus, status, id, status)) > 0) session.touch("workers");
    },
    async get(id) {
      const row = await session.one(selectOne, id);
      return row === undefined ? null : workerOf(row);
    },
    async list() {
      const now = await session.time();
      const rows = await session.all(selectAll);
      return rows.map((row) => ({ ...workerOf(row), isLapsed: hasEnded(row, now) }));
    },
    async removeGone() {
      await session.change(removeGone, await fromNow(session, -forgottenAfterMs));
    },
  };
}

/** For stores of which holding them is the lease: whoever else is known is gone. */
export async function takeAlone(session: Session, worker: NewWorker): Promise<void> {
  await session.change(othersGone, worker.id);
  await putWorker(session, worker, null);
}

async function putWorker(
  session: Session,
  worker: NewWorker,
  leaseMs: number | null,
): Promise<void> {
  session.touch("workers");
  const { id, labels, process, version, startedAt } = worker;
  const endsAt = leaseMs === null ? null : await fromNow(session, leaseMs);
  await session.change(put, id, toJson(labels), toJson(process), version, startedAt, endsAt);
}

async function fromNow(session: Session, byMs: number): Promise<string> {
  return new Date(Date.parse(await session.time()) + byMs).toISOString();
}

function hasEnded({ leaseEndsAt }: WorkerRow, now: string): boolean {
  return leaseEndsAt !== null && leaseEndsAt <= now;
}

function workerOf(row: WorkerRow): Worker {
  return { ...row, labels: fromJson(row.labels), process: fromJson(row.process) };
}
