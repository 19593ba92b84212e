import type { CertificateRepository } from "../../../ports/repositories.ts";
import type { Session } from "./session.ts";

export function certificates(session: Session): CertificateRepository {
  return {
    async authority(name) {
      const row = await session.db
        .selectFrom("authority")
        .selectAll()
        .where("name", "=", name)
        .executeTakeFirst();
      return row ?? null;
    },
    async keepAuthority(authority) {
      await session.db
        .insertInto("authority")
        .values(authority)
        .onConflict((conflict) => conflict.column("name").doNothing())
        .execute();
    },
    async revoke(revoked, now) {
      await session.db.deleteFrom("revokedCertificate").where("notAfter", "<", now).execute();
      for (const one of revoked)
        await session.db
          .insertInto("revokedCertificate")
          .values({ ...one, revokedAt: now })
          .onConflict((conflict) => conflict.column("serial").doNothing())
          .execute();
    },
    async revoked(now) {
      const rows = await session.db
        .selectFrom("revokedCertificate")
        .selectAll()
        .where("notAfter", ">=", now)
        .orderBy("serial")
        .execute();
      return rows.map((row) => ({ ...row }));
    },
  };
}
