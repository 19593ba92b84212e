import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { postgresSkip, TestPostgres } from "../../support/postgres.ts";

describe("the private PostgreSQL of tests", { skip: postgresSkip }, () => {
  let server: TestPostgres;
  before(async () => {
    server = await TestPostgres.start();
  });
  after(() => server.remove());

  it("gives each test a database, empty or as a copy of another", async () => {
    const first = await server.createDatabase();
    await server.query("create table a as select 1 as b", first);
    const copy = await server.createDatabase(first);
    assert.deepEqual(await server.query("select b from a", copy), [{ b: 1 }]);
    await server.dropDatabase(copy);
    await assert.rejects(server.query("select 1", copy), /does not exist/u);
  });

  it("keeps what was committed when it is stopped and when it is killed", async () => {
    const database = await server.createDatabase();
    await server.query("create table a (b integer)", database);
    for (const end of [() => server.stop("fast"), () => server.kill()]) {
      await server.query("insert into a values (1)", database);
      await end();
      assert.equal(server.pid, 0);
      await assert.rejects(server.query("select 1", database));
      await server.start();
    }
    const [row] = await server.query("select count(*)::int as n from a", database);
    assert.deepEqual(row, { n: 2 });
  });

  it("is followed by a standby that takes over", async () => {
    const database = await server.createDatabase();
    const standby = await server.standby();
    try {
      await server.query("create table a as select 7 as b", database);
      let copied: unknown = null;
      for (let n = 0; n < 100 && copied === null; n += 1) {
        copied = await standby.query("select b from a", database).catch(() => null);
        if (copied === null) await sleep(50);
      }
      assert.deepEqual(copied, [{ b: 7 }]);
      await assert.rejects(standby.query("insert into a values (8)", database), /read-only/u);
      await standby.promote();
      await standby.query("insert into a values (8)", database);
    } finally {
      await standby.remove();
      assert.equal(existsSync(standby.dataDirectory), false);
    }
  });

  it("asks for a password when it has one", async () => {
    const guarded = await TestPostgres.start({ password: "a b:c" });
    try {
      assert.deepEqual(await guarded.query("select 1 as one"), [{ one: 1 }]);
      const wrong = guarded.url().replace("a%20b%3Ac", "other");
      const { default: pg } = await import("pg");
      const client = new pg.Client({ connectionString: wrong });
      await assert.rejects(client.connect(), /password authentication failed/u);
    } finally {
      await guarded.remove();
    }
  });
});
