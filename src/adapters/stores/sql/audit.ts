import type { AuditRepository } from "../../../ports/repositories.ts";
import { fromJson, toJson } from "./json.ts";
import { pageOf, readCursor } from "./paging.ts";
import type { Session } from "./session.ts";

export function audits(session: Session): AuditRepository {
  return {
    async append(entry) {
      await session.db
        .insertInto("audit")
        .values({ ...entry, detail: toJson(entry.detail) })
        .execute();
    },
    async list(page) {
      const before = readCursor(page);
      let query = session.db
        .selectFrom("audit")
        .selectAll()
        .orderBy("number", "desc")
        .limit(page.limit + 1);
      if (before !== null) query = query.where("number", "<", before);
      return pageOf(await query.execute(), page.limit, {
        item: ({ number: _number, ...row }) => ({ ...row, detail: fromJson(row.detail) }),
        place: (row) => row.number,
      });
    },
  };
}
