import type { Selectable } from "kysely";
import type { SealedSecret, SecretRepository } from "../../../ports/repositories.ts";
import type { Session } from "./session.ts";
import type { Tables } from "./tables.ts";

export function secrets(session: Session): SecretRepository {
  return {
    async put(secret) {
      await session.locks.hold(secret.environmentId);
      const { id: _id, ...changed } = secret;
      await session.db
        .insertInto("secret")
        .values(secret)
        .onConflict((conflict) => conflict.column("id").doUpdateSet(changed))
        .execute();
    },
    async get(id) {
      const row = await select(session).where("id", "=", id).executeTakeFirst();
      return row === undefined ? null : secretOf(row);
    },
    async same(environmentId, name, fingerprint) {
      await session.locks.hold(environmentId);
      const row = await select(session)
        .where("environmentId", "=", environmentId)
        .where("name", "=", name)
        .where("fingerprint", "=", fingerprint)
        .orderBy("number", "desc")
        .limit(1)
        .executeTakeFirst();
      return row === undefined ? null : secretOf(row);
    },
    async ofEnvironment(environmentId) {
      await session.locks.hold(environmentId);
      const rows = await select(session)
        .where("environmentId", "=", environmentId)
        .orderBy("number")
        .execute();
      return rows.map((row) => secretOf(row));
    },
    async remove(ids) {
      for (const id of ids) await session.db.deleteFrom("secret").where("id", "=", id).execute();
    },
  };
}

function select(session: Session) {
  return session.db.selectFrom("secret").selectAll();
}

function secretOf(row: Selectable<Tables["secret"]>): SealedSecret {
  const { number: _number, ...secret } = row;
  return secret;
}
