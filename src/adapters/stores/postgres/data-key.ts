import type { Pool } from "../../../clients/postgres/pool.ts";
import { translate } from "../../../clients/postgres/errors.ts";

/** The one wrapped data key of the database. Who keeps one while another has, or does at the same time, gets that one. */
export interface SharedDataKey {
  readonly name: string;
  read(): Promise<Uint8Array | null>;
  /** Keeps this one unless there is one; gives the one that is kept. */
  keep(wrapped: Uint8Array): Promise<Uint8Array>;
  /** Puts `next` in the place of `before`, unless another one is there. */
  replace(before: Uint8Array, next: Uint8Array): Promise<void>;
}

interface Row {
  readonly wrapped: Uint8Array;
}

const select = `select "wrapped" from "dataKey"`;
const insert = `insert into "dataKey" ("wrapped") values (?) on conflict do nothing`;
const update = `update "dataKey" set "wrapped" = ? where "wrapped" = ?`;

export function sharedDataKey(pool: Pool): SharedDataKey {
  const ask = async (sql: string, values: readonly Uint8Array[] = []): Promise<Row | undefined> => {
    try {
      return await pool.with(async (connection) => {
        const { rows } = await connection.query<Row>(sql, values);
        return rows[0];
      });
    } catch (error) {
      throw translate(error);
    }
  };
  return {
    name: "in the database",
    read: async () => (await ask(select))?.wrapped ?? null,
    async keep(wrapped) {
      await ask(insert, [wrapped]);
      return (await ask(select))?.wrapped ?? wrapped;
    },
    async replace(before, next) {
      await ask(update, [next, before]);
    },
  };
}
