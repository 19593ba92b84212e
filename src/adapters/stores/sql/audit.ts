import type { AuditRepository } from "../../../ports/repositories.ts";
import { fromJson, toJson } from "./json.ts";
import { pageOf, readCursor } from "./paging.ts";
import { insertion } from "./session.ts";
import type { Session } from "./session.ts";

export function audits(session: Session): AuditRepository {
  return {
    async append(entry) {
      const { kept, cells } = insertion("audit", { ...entry, detail: toJson(entry.detail) });
      await session.run(kept, ...cells);
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
