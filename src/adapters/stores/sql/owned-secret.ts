import type { Selectable } from "kysely";
import type { OwnedSecret } from "../../../domain/secret.ts";
import type { OwnedSecretRepository } from "../../../ports/repositories.ts";
import { fromJson, toJson } from "./json.ts";
import { atMost, statement, type Session } from "./session.ts";
import type { Tables } from "./tables.ts";

type Row = Selectable<Tables["ownedSecret"]>;

const select = `select * from "ownedSecret"`;
const selectOne = statement<Row>(
  `${select} where "environmentId" = ? and "template" = ? and "name" = ?`,
);
const selectOfEnvironment = statement<Row>(
  `${select} where "environmentId" = ? order by "template", "name"`,
);
const selectDue = statement<Row>(`${select} where "rotateAt" <= ? order by "rotateAt"`);
const selectEnds = statement<{ readonly count: number | string; readonly soonest: string | null }>(
  `select count(*) as "count", min("expiresAt") as "soonest" from "ownedSecret" where "expiresAt" is not null`,
);

export function ownedSecrets(session: Session): OwnedSecretRepository {
  return {
    async get(environmentId, template, name) {
      await session.locks.hold(environmentId);
      const row = await session.one(selectOne, environmentId, template, name);
      return row === undefined ? null : ownedOf(row);
    },
    async ofEnvironment(environmentId) {
      await session.locks.hold(environmentId);
      const rows = await session.all(selectOfEnvironment, environmentId);
      return rows.map((row) => ownedOf(row));
    },
    async put(secret) {
      await session.locks.hold(secret.environmentId);
      const { certificate } = secret;
      const expiresAt = certificate?.notAfter ?? null;
      const row = { ...secret, certificate: toJson(certificate), expiresAt };
      const { environmentId: _environment, template: _template, name: _name, ...changed } = row;
      await session.db
        .insertInto("ownedSecret")
        .values(row)
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
      return rows.map((row) => ownedOf(row));
    },
    async certificateEnds() {
      const row = await session.one(selectEnds);
      return { count: Number(row?.count ?? 0), soonest: row?.soonest ?? null };
    },
  };
}

function ownedOf(row: Row): OwnedSecret {
  const { expiresAt: _end, ...secret } = row;
  return { ...secret, certificate: fromJson(row.certificate) };
}
