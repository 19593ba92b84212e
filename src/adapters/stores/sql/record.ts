import type { Selectable } from "kysely";
import type { GroupRecord } from "../../../domain/record.ts";
import type { RecordRepository } from "../../../ports/repositories.ts";
import { fromJson, toJson } from "./json.ts";
import type { Session } from "./session.ts";
import type { Tables } from "./tables.ts";

/** As many names as one statement takes without getting slow to prepare. */
const namesAtOnce = 200;

export function records(session: Session): RecordRepository {
  return {
    async list(environmentId) {
      const rows = await select(session)
        .where("environmentId", "=", environmentId)
        .orderBy("template")
        .orderBy("group")
        .execute();
      return rows.map((row) => recordOf(row));
    },
    async get(environmentId, template, group) {
      const row = await select(session)
        .where("environmentId", "=", environmentId)
        .where("template", "=", template)
        .where("group", "=", group)
        .executeTakeFirst();
      return row === undefined ? null : recordOf(row);
    },
    async some(environmentId, template, groups) {
      const found: GroupRecord[] = [];
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
    async put(record) {
      const row = {
        ...record,
        upstreams: toJson(record.upstreams),
        settings: toJson(record.settings),
        outputs: toJson(record.outputs),
        memory: toJson(record.memory),
      };
      await session.db
        .insertInto("groupRecord")
        .values(row)
        .onConflict((conflict) =>
          conflict.columns(["environmentId", "template", "group"]).doUpdateSet(row),
        )
        .execute();
    },
    async remove(environmentId, template, group) {
      await session.db
        .deleteFrom("groupRecord")
        .where("environmentId", "=", environmentId)
        .where("template", "=", template)
        .where("group", "=", group)
        .execute();
    },
  };
}

function select(session: Session) {
  return session.db.selectFrom("groupRecord").selectAll();
}

function recordOf(row: Selectable<Tables["groupRecord"]>): GroupRecord {
  return {
    ...row,
    upstreams: fromJson(row.upstreams),
    settings: fromJson(row.settings),
    outputs: fromJson(row.outputs),
    memory: fromJson(row.memory),
  };
}
