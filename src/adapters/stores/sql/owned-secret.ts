import type { OwnedSecret } from "../../../domain/secret.ts";
import type { OwnedSecretRepository } from "../../../ports/repositories.ts";
import { atMost, statement, type Session } from "./session.ts";

const select = `select * from "ownedSecret"`;
const selectOne = statement<OwnedSecret>(
  `${select} where "environmentId" = ? and "template" = ? and "name" = ?`,
);
const selectOfEnvironment = statement<OwnedSecret>(
  `${select} where "environmentId" = ? order by "template", "name"`,
);
const selectDue = statement<OwnedSecret>(`${select} where "rotateAt" <= ? order by "rotateAt"`);

export function ownedSecrets(session: Session): OwnedSecretRepository {
  return {
    async get(environmentId, template, name) {
      await session.locks.hold(environmentId);
      const row = await session.one(selectOne, environmentId, template, name);
      return row === undefined ? null : { ...row };
    },
    async ofEnvironment(environmentId) {
      await session.locks.hold(environmentId);
      const rows = await session.all(selectOfEnvironment, environmentId);
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
      const rows = await atMost(session, { kept: selectDue, limit }, now);
      return rows.map((row) => ({ ...row }));
    },
  };
}
