import type { CheckRepository } from "../../../ports/repositories.ts";
import type { Session } from "./session.ts";

export function checks(session: Session): CheckRepository {
  return {
    async put(state) {
      await session.locks.hold(state.environmentId);
      await session.db
        .insertInto("checkState")
        .values(state)
        .onConflict((conflict) => conflict.columns(["environmentId", "key"]).doUpdateSet(state))
        .execute();
    },
    async list(environmentId) {
      await session.locks.hold(environmentId);
      const rows = await session.db
        .selectFrom("checkState")
        .selectAll()
        .where("environmentId", "=", environmentId)
        .orderBy("key")
        .execute();
      return rows.map((row) => ({ ...row }));
    },
    async keepOnly(environmentId, keys) {
      await session.locks.hold(environmentId);
      const kept = new Set(keys);
      const present = await session.db
        .selectFrom("checkState")
        .select("key")
        .where("environmentId", "=", environmentId)
        .execute();
      for (const { key } of present) {
        if (kept.has(key)) continue;
        await session.db
          .deleteFrom("checkState")
          .where("environmentId", "=", environmentId)
          .where("key", "=", key)
          .execute();
      }
    },
  };
}
