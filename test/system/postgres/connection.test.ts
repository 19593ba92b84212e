import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Connection } from "../../../src/clients/postgres/connection.ts";
import { sqlState } from "../../../src/clients/postgres/errors.ts";
import { targetsOf } from "../../../src/clients/postgres/target.ts";
import { postgresSkip, TestPostgres } from "../../support/postgres.ts";

const limits = { connectMs: 5_000, statementMs: 5_000, lockMs: 5_000, idleInTransactionMs: 5_000 };
const insert = `insert into "t" ("id", "word") values (?, ?)`;
const divide = `select 1 / ?::bigint as "quotient"`;

describe("a connection to PostgreSQL", { skip: postgresSkip }, () => {
  let server: TestPostgres;
  let connection: Connection;
  before(async () => {
    server = await TestPostgres.start();
    const [target] = targetsOf({ url: server.url(await server.createDatabase()), limits });
    assert.ok(target);
    connection = await Connection.open(target);
    await connection.script(`create table "t" ("id" bigint primary key, "word" text)`);
  });
  after(async () => {
    await connection.end();
    await server.remove();
  });

  async function words(): Promise<readonly (string | null)[]> {
    const sql = `select "id", "word" from "t" order by "id"`;
    const { rows } = await connection.query<{ readonly word: string | null }>(sql);
    await connection.query(`delete from "t"`);
    return rows.map(({ word }) => word);
  }

  it("gives each statement of a turn its own answer", async () => {
    for (const times of [1, 2]) {
      const [, first, second, third] = await Promise.all([
        connection.within("begin"),
        connection.within(insert, [times, null]),
        connection.within(`select * from "t" where "id" = ?`, [times]),
        connection.within(`select * from "t" where "id" = ?`, [0]),
        connection.within("commit"),
      ]);
      assert.equal(first.count, 1);
      assert.deepEqual(second.rows, [{ id: times, word: null }]);
      assert.deepEqual(third.rows, []);
    }
    assert.deepEqual(await words(), [null, null]);
  });

  it("fails what comes after a failed statement of the turn, and can be used again", async () => {
    const afterwards = `select 'afterwards'::text as "word"`;
    const [begun, failed, skipped] = await Promise.allSettled([
      connection.within("begin"),
      connection.within(divide, [0]),
      connection.within(afterwards),
    ]);
    assert.equal(begun.status, "fulfilled");
    assert.ok(failed.status === "rejected" && skipped.status === "rejected");
    assert.equal(sqlState(failed.reason), "22012");
    assert.equal(skipped.reason, failed.reason);
    await connection.within("rollback");
    const { rows } = await connection.within(afterwards);
    assert.deepEqual(rows, [{ word: "afterwards" }]);
    assert.deepEqual((await connection.within(divide, [1])).rows, [{ quotient: 1 }]);
  });

  it("keeps what is done by itself whatever fails in the same turn", async () => {
    const [done, failed] = await Promise.allSettled([
      connection.query(insert, [7, "kept"]),
      connection.query(divide, [0]),
    ]);
    assert.equal(done.status, "fulfilled");
    assert.equal(failed.status, "rejected");
    assert.deepEqual(await words(), ["kept"]);
  });
});
