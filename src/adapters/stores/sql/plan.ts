import type { Selectable } from "kysely";
import type { SavedPlan } from "../../../domain/plan.ts";
import type { PlanRepository } from "../../../ports/repositories.ts";
import { fromJson, toJson, toJsonIfGiven } from "./json.ts";
import { pageOf, readCursor } from "./paging.ts";
import type { Session } from "./session.ts";
import type { Tables } from "./tables.ts";

export function plans(session: Session): PlanRepository {
  return {
    async insert(plan) {
      await session.locks.hold(plan.environmentId);
      await session.db
        .insertInto("plan")
        .values({
          ...plan,
          desired: toJson(plan.desired),
          basis: toJson(plan.basis),
          plan: toJson(plan.plan),
        })
        .execute();
    },
    async get(id) {
      const found = await select(session).where("id", "=", id).executeTakeFirst();
      if (found === undefined || session.locks.holds(found.environmentId))
        return found === undefined ? null : planOf(found);
      await session.locks.hold(found.environmentId);
      const row = await select(session).where("id", "=", id).executeTakeFirst();
      return row === undefined ? null : planOf(row);
    },
    async update(id, patch) {
      if (Object.keys(patch).length === 0) return;
      await session.db
        .updateTable("plan")
        .set({ ...patch, plan: toJsonIfGiven(patch.plan), basis: toJsonIfGiven(patch.basis) })
        .where("id", "=", id)
        .execute();
    },
    async list(environmentId, page) {
      const before = readCursor(page);
      let query = select(session)
        .where("environmentId", "=", environmentId)
        .orderBy("number", "desc")
        .limit(page.limit + 1);
      if (before !== null) query = query.where("number", "<", before);
      return pageOf(await query.execute(), page.limit, {
        item: planOf,
        place: (row) => row.number,
      });
    },
  };
}

function select(session: Session) {
  return session.db.selectFrom("plan").selectAll();
}

function planOf(row: Selectable<Tables["plan"]>): SavedPlan {
  const { number: _number, ...plain } = row;
  return {
    ...plain,
    desired: fromJson(row.desired),
    basis: fromJson(row.basis),
    plan: fromJson(row.plan),
  };
}
