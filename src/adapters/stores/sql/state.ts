import type { GroupPlace, StateRepository, StateVersion } from "../../../ports/repositories.ts";
import type { Session } from "./session.ts";

/** The version number of the one row that is overwritten while a step runs. */
const inProgress = 0;

export function states(session: Session): StateRepository {
  return {
    async latest(at) {
      await session.locks.hold(at.environmentId);
      const row = await ofGroup(session, at)
        .where("version", ">", inProgress)
        .orderBy("version", "desc")
        .limit(1)
        .executeTakeFirst();
      return row === undefined ? null : { ...row };
    },
    async inProgress(at) {
      await session.locks.hold(at.environmentId);
      const row = await ofGroup(session, at).where("version", "=", inProgress).executeTakeFirst();
      return row === undefined ? null : { ...row };
    },
    async putProgress(state) {
      await session.locks.hold(state.environmentId);
      const row = { ...state, version: inProgress };
      await session.db
        .insertInto("stateVersion")
        .values(row)
        .onConflict((conflict) =>
          conflict.columns(["environmentId", "template", "group", "version"]).doUpdateSet(row),
        )
        .execute();
    },
    addVersion: (state, keep) => addVersion(session, state, keep),
    async list(at) {
      await session.locks.hold(at.environmentId);
      const rows = await ofGroup(session, at)
        .where("version", ">", inProgress)
        .orderBy("version", "desc")
        .execute();
      return rows.map((row) => ({ ...row }));
    },
    async removeEnvironment(environmentId) {
      await session.locks.hold(environmentId);
      await session.db
        .deleteFrom("stateVersion")
        .where("environmentId", "=", environmentId)
        .execute();
    },
    async blobDigests() {
      const rows = await session.db.selectFrom("stateVersion").select("blob").distinct().execute();
      return rows.map((row) => row.blob);
    },
  };
}

async function addVersion(session: Session, state: StateVersion, keep: number): Promise<void> {
  await session.locks.hold(state.environmentId);
  const last = await ofGroup(session, state).orderBy("version", "desc").limit(1).executeTakeFirst();
  const version = (last?.version ?? inProgress) + 1;
  await session.db
    .insertInto("stateVersion")
    .values({ ...state, version })
    .execute();
  await session.db
    .deleteFrom("stateVersion")
    .where("environmentId", "=", state.environmentId)
    .where("template", "=", state.template)
    .where("group", "=", state.group)
    .where("version", "<=", version - keep)
    .execute();
  await session.db
    .deleteFrom("stateVersion")
    .where("environmentId", "=", state.environmentId)
    .where("template", "=", state.template)
    .where("group", "=", state.group)
    .where("version", "=", inProgress)
    .execute();
}

function ofGroup(session: Session, at: GroupPlace) {
  return session.db
    .selectFrom("stateVersion")
    .selectAll()
    .where("environmentId", "=", at.environmentId)
    .where("template", "=", at.template)
    .where("group", "=", at.group);
}
