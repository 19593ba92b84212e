import type { Selectable } from "kysely";
import type { GroupRecord } from "../../../domain/record.ts";
import type { RecordRepository } from "../../../ports/repositories.ts";
import { fromJson, toJson } from "./json.ts";
import { statement } from "./session.ts";
import type { Session } from "./session.ts";
import type { Tables } from "./tables.ts";

type RecordRow = Selectable<Tables["groupRecord"]>;

/** As many names as one statement takes without getting slow to prepare. */
const namesAtOnce = 200;

const ofEnvironment = statement<RecordRow>(
  `select * from "groupRecord" where "environmentId" = ? order by "template", "group"`,
);
export const selectRecord = statement<RecordRow>(
  `select * from "groupRecord" where "environmentId" = ? and "template" = ? and "group" = ?`,
);
const labelledRecords = statement<Pick<RecordRow, "template" | "group" | "runsOn">>(
  `select "template", "group", "runsOn" from "groupRecord"
   where "environmentId" = ? and "runsOn" <> '[]' order by "template", "group"`,
);
export const putRecord = statement(
  `insert into "groupRecord" ("environmentId", "template", "group", "templateId", "executor", "behaviour", "status",
     "upstreams", "settings", "fingerprint", "outputs", "memory", "drift", "timeoutMs", "runsOn", "appliedAt")
   values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
   on conflict ("environmentId", "template", "group") do update set "templateId" = excluded."templateId",
     "executor" = excluded."executor", "behaviour" = excluded."behaviour", "status" = excluded."status",
     "upstreams" = excluded."upstreams", "settings" = excluded."settings", "fingerprint" = excluded."fingerprint",
     "outputs" = excluded."outputs", "memory" = excluded."memory", "drift" = excluded."drift",
     "timeoutMs" = excluded."timeoutMs", "runsOn" = excluded."runsOn", "appliedAt" = excluded."appliedAt"`,
);

export function records(session: Session): RecordRepository {
  return {
    async list(environmentId) {
      await session.locks.hold(environmentId);
      const rows = await session.all(ofEnvironment, environmentId);
      return rows.map((row) => recordOf(row));
    },
    async get(environmentId, template, group) {
      await session.locks.hold(environmentId);
      const row = await session.one(selectRecord, environmentId, template, group);
      return row === undefined ? null : recordOf(row);
    },
    ask: (environmentId, template, groups) => ask(session, { environmentId, template, groups }),
    async some(environmentId, template, groups) {
      await session.locks.hold(environmentId);
      const found: GroupRecord[] = [];
      const [only, ...others] = groups;
      if (only !== undefined && others.length === 0) {
        const row = await session.one(selectRecord, environmentId, template, only);
        return row === undefined ? [] : [recordOf(row)];
      }
      for (let at = 0; at < groups.length; at += namesAtOnce) {
        const rows = await select(session)
          .where("environmentId", "=", environmentId)
          .where("template", "=", template)
          .where("group", "in", groups.slice(at, at + namesAtOnce))
          .execute();
        found.push(...rows.map((row) => recordOf(row)));
      }
      return found;
    },
    async labelled(environmentId) {
      const rows = await session.all(labelledRecords, environmentId);
      return rows.map((row) => ({ ...row, runsOn: fromJson(row.runsOn) }));
    },
    async put(record) {
      const { environmentId, template, group, templateId, executor, behaviour, status } = record;
      await session.locks.hold(environmentId);
      await session.run(
        putRecord,
        environmentId,
        template,
        group,
        templateId,
        executor,
        behaviour,
        status,
        toJson(record.upstreams),
        toJson(record.settings),
        record.fingerprint,
        toJson(record.outputs),
        toJson(record.memory),
        record.drift,
        record.timeoutMs,
        toJson(record.runsOn),
        record.appliedAt,
      );
    },
    async remove(environmentId, template, group) {
      await session.locks.hold(environmentId);
      await session.db
        .deleteFrom("groupRecord")
        .where("environmentId", "=", environmentId)
        .where("template", "=", template)
        .where("group", "=", group)
        .execute();
    },
  };
}

/** Each by itself: they are sent before this resolves. */
async function ask(
  session: Session,
  of: {
    readonly environmentId: string;
    readonly template: string;
    readonly groups: readonly string[];
  },
): Promise<{ readonly answer: Promise<readonly GroupRecord[] | null> }> {
  const { environmentId, template, groups } = of;
  await session.locks.hold(environmentId);
  const rows = Promise.all(
    groups.map((group) => session.one(selectRecord, environmentId, template, group)),
  );
  return { answer: recordsOf(rows) };
}

/** When it fails so does the transaction; or that took effect, and the connection was lost with this answer in it. */
async function recordsOf(
  asked: Promise<readonly (RecordRow | undefined)[]>,
): Promise<readonly GroupRecord[] | null> {
  try {
    return (await asked).flatMap((row) => (row === undefined ? [] : [recordOf(row)]));
  } catch {
    return null;
  }
}

function select(session: Session) {
  return session.db.selectFrom("groupRecord").selectAll();
}

function recordOf(row: RecordRow): GroupRecord {
  return {
    ...row,
    upstreams: fromJson(row.upstreams),
    settings: fromJson(row.settings),
    outputs: fromJson(row.outputs),
    memory: fromJson(row.memory),
    runsOn: fromJson(row.runsOn),
  };
}
