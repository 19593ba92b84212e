import type { OwnedSecretRepository } from "../../../ports/repositories.ts";
import type { Session } from "./session.ts";

export function ownedSecrets(session: Session): OwnedSecretRepository {
  return {
    async get(environmentId, template, name) {
      await session.locks.hold(environmentId);
      const row = await select(session)
        .where("environmentId", "=", environmentId)
        .where("template", "=", template)
        .where("name", "=", name)
        .executeTakeFirst();
      return row === undefined ? null : { ...row };
    },
    async ofEnvironment(environmentId) {
      await session.locks.hold(environmentId);
      const rows = await select(session)
        .where("environmentId", "=", environmentId)
        .orderBy("template")
        .orderBy("name")
        .execute();
      return rows.map((row) => ({ ...row }));
    },
    async put(secret) {
      await session.locks.hold(secret.environmentId);
      const { environmentId: _environment, template: _template, name: _name, ...changed } = secret;
      await session.db
        .insertInto("ownedSecret")
        .values(secret)
        .onConflict((conflict) =>
          conflict.columns(["environmentId", "template", "name"]).doUpdateSet(changed),
        )
        .execute();
    },
    async remove(environmentId, template, name) {
      await session.locks.hold(environmentId);
      await session.db
        .deleteFrom("ownedSecret")
        .where("environmentId", "=", environmentId)
        .where("template", "=", template)
        .where("name", "=", name)
        .execute();
    },
    async due(now, limit) {
      const rows = await select(session)
        .where("rotateAt", "<=", now)
        .orderBy("rotateAt")
        .limit(limit)
        .execute();
      return rows.map((row) => ({ ...row }));
    },
  };
}

function select(session: Session) {
  return session.db.selectFrom("ownedSecret").selectAll();
}
