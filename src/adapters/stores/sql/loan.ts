import type { RecordedLoan } from "../../../domain/loan.ts";
import type { LoanRepository } from "../../../ports/repositories.ts";
import { atMost, statement, type Session } from "./session.ts";

const selectLeft = statement<RecordedLoan>(
  `select "loan".* from "loan" left join "step" on "step"."id" = "loan"."stepId"
     and "step"."token" = "loan"."token" and "step"."status" = 'running'
   where "step"."id" is null order by "loan"."madeAt"`,
);

export function loans(session: Session): LoanRepository {
  return {
    async put(loan) {
      await session.locks.hold(loan.environmentId);
      await session.db.insertInto("loan").values(loan).execute();
    },
    async remove(ids) {
      if (ids.length === 0) return;
      await session.db.deleteFrom("loan").where("id", "in", ids).execute();
    },
    async left(limit) {
      const rows = await atMost(session, { kept: selectLeft, limit });
      return rows.map((row) => ({ ...row }));
    },
  };
}
