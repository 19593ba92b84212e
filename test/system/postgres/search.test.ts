import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { tsvector } from "../../../src/adapters/stores/postgres/full-text.ts";
import { searchStatement } from "../../../src/adapters/stores/sql/search-statement.ts";
import { prepared } from "../../../src/clients/postgres/statement-text.ts";
import { parseSearch } from "../../../src/domain/search-query.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import {
  everything,
  fillForSearch,
  find,
  oldWorker,
} from "../../../src/testing/store-contract-search.ts";
import { StoreServer } from "../../support/postgres-store.ts";
import { postgresSkip } from "../../support/postgres.ts";

const clock = new FakeClock();

describe("the index of words in PostgreSQL", { skip: postgresSkip }, () => {
  let stores: StoreServer;
  before(async () => {
    stores = await StoreServer.start(clock);
  });
  after(() => stores.server.remove());

  it("is filled with what a program of before has written", async () => {
    const database = await stores.database();
    const older = await stores.open(database, { clock });
    await fillForSearch(older, clock);
    await older.close();
    await stores.server.query(
      `drop table "document"; drop table "searchFill"; drop table "searchWriter"; drop function "workerIndexes" cascade;
       delete from "schemaVersion" where "version" >= 11`,
      database,
    );
    const several = await Promise.all([1, 2].map(() => stores.open(database, { clock })));
    for (const store of several) {
      assert.deepEqual((await find(store, "shop OR -shop")).toSorted(), everything.toSorted());
      assert.deepEqual(await find(store, "type:consul_key"), everything.slice(0, 1));
    }
    for (const store of several) await store.close();
  });

  it("has what a replica of the version before has written since, once the last of them is replaced", async () => {
    const database = await stores.database();
    const first = await stores.open(database, { clock });
    await fillForSearch(first, clock);
    await stores.server.query(
      `update "resource" set "description" = 'mended by hand' where "key" = 'front';
       delete from "document" where "kind" = 'observed';
       update "environment" set "status" = 'destroyed' where "name" = 'shop-2'`,
      database,
    );
    assert.deepEqual(await find(first, "kind:observed OR mended"), []);
    const last = await stores.open(database, { clock });
    assert.deepEqual(
      (await find(first, "kind:observed OR mended")).toSorted(),
      [...everything.slice(0, 2), "shop-1/front"].toSorted(),
    );
    assert.deepEqual(await find(first, "name:shop-2"), []);
    for (const store of [first, last]) await store.close();
    clock.advance(2 * 86_400_000);
    await stores.server.query(`delete from "document" where "kind" = 'observed'`, database);
    const later = await stores.open(database, { clock });
    assert.deepEqual(await find(later, "kind:observed"), []);
    await stores.server.query(oldWorker, database);
    const again = await stores.open(database, { clock });
    assert.deepEqual(await find(later, "kind:observed"), everything.slice(0, 2));
    for (const store of [later, again]) await store.close();
  });

  it("is asked without going through a table, however common a word is", async () => {
    const database = await stores.database();
    await stores.server.query(
      `insert into "document" ("kind", "subjectId", "words")
         select 'template', 'tpl_' || n, ('''common'':1A ''a_'' ''k_template'' ''w' || n || ''':2')::tsvector
         from generate_series(1, 20000) n`,
      database,
    );
    await stores.server.query(`vacuum analyze "document"`, database);
    // The newest are gone back to by number, the index is asked for the rest, and only when they were not enough.
    for (const query of ["w77", "common", "common w77", "w7*", "-w77", "common status:draft"]) {
      const { documents } = searchStatement(tsvector, {
        query: parseSearch(query),
        kinds: [],
        before: null,
        limit: 20,
      });
      const plan = await explained(database, documents);
      const gone = plan.split("\n").filter((line) => line.includes("Seq Scan on"));
      assert.ok(
        gone.every((line) => line.includes("never executed")),
        `${query}\n${plan}`,
      );
    }
  });

  async function explained(
    database: string,
    { kept, cells }: ReturnType<typeof searchStatement>["documents"],
  ): Promise<string> {
    let text = prepared(kept.sql).text;
    for (const [at, cell] of cells.toReversed().entries())
      text = text.replaceAll(`$${cells.length - at}`, `'${String(cell).replaceAll("'", "''")}'`);
    const rows = await stores.server.query(`explain (analyze, timing off) ${text}`, database);
    return rows.map((row) => String(row["QUERY PLAN"])).join("\n");
  }
});
