import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { tsvector } from "../../../src/adapters/stores/postgres/full-text.ts";
import { searchStatement } from "../../../src/adapters/stores/sql/search-statement.ts";
import { prepared } from "../../../src/clients/postgres/statement-text.ts";
import type { ObservedResource } from "../../../src/domain/resource.ts";
import { parseSearch } from "../../../src/domain/search-query.ts";
import type { Store } from "../../../src/ports/store.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import { anEnvironment } from "../../../src/testing/store-contract-data.ts";
import {
  everything,
  endedOf,
  fillForSearch,
  find,
  made,
} from "../../../src/testing/store-contract-search.ts";
import { StoreServer } from "../../support/postgres-store.ts";
import { postgresSkip } from "../../support/postgres.ts";

const clock = new FakeClock();
const now = "2026-01-01T00:00:00.000Z";
const rounds = 30;

function thing(address: string): ObservedResource {
  return { address, type: "server", externalId: null, attributes: { note: address } };
}

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
      `drop table "document"; drop table "searchFill"; drop table "searchWriter"; drop table "searchPosition"; drop function "workerIndexes" cascade;
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

  it("has at once what another replica has committed, while both of them write and search", async () => {
    const database = await stores.database();
    const limits = { restMs: 1 };
    const [one, other] = await Promise.all([
      stores.open(database, { clock, limits }),
      stores.open(database, { clock, limits }),
    ]);
    const follow = async (writer: Store, reader: Store, n: number): Promise<void> => {
      const at = { environmentId: `env_${n}`, template: "web-shop", group: "servers" };
      const environment = anEnvironment(clock, { id: at.environmentId, name: `many-${n}` });
      await writer.transact(async (tx) => {
        await tx.environments.insert(environment);
        await tx.events.append([made(at.environmentId)], now);
      });
      assert.deepEqual(await find(reader, `name:many-${n}`), [`many-${n}`]);
      for (let round = 1; round <= rounds; round += 1) {
        // What was there goes and comes again beside those who index it.
        const addresses = round % 2 === 0 ? [] : ["b", "a", `r${round}`];
        await writer.transact(async (tx) => {
          await tx.resources.replaceObserved(
            at,
            addresses.map((each) => thing(each)),
            now,
          );
          await tx.events.append([endedOf(at)], now);
        });
        const found = await find(reader, `environment:many-${n} kind:observed`);
        const expected = addresses.map((each) => `many-${n}/${each}`);
        assert.deepEqual(found.toSorted(), expected.toSorted(), `round ${round}`);
      }
    };
    const pairs = Array.from({ length: 8 }, (_, n) => n);
    await Promise.all(
      pairs.map((n) => (n % 2 === 0 ? follow(one, other, n) : follow(other, one, n))),
    );
    for (const store of [one, other]) await store.close();
  });

  it("has what a replica that was killed had committed, whether it had its place in the journal or not", async () => {
    const database = await stores.database();
    const limits = { restMs: 1_000_000 };
    const first = await stores.open(database, { clock, limits });
    await fillForSearch(first, clock);
    await first.close();
    await stores.server.query(`update "event" set "position" = null`, database);
    await stores.server.query(`update "journalPosition" set "next" = 1`, database);
    const [row] = await stores.server.query(
      `select count(*)::int as "n" from "document"`,
      database,
    );
    assert.equal(row?.["n"], 0, "a commit of what is searched has indexed it");
    const second = await stores.open(database, { clock, limits });
    assert.deepEqual(await find(second, "shop OR -shop"), everything);
    await second.close();
  });

  it("follows by itself soon after a commit", async () => {
    const database = await stores.database();
    const store = await stores.open(database, { clock, limits: { restMs: 1 } });
    await fillForSearch(store, clock);
    const indexed = async (): Promise<unknown> =>
      (await stores.server.query(`select count(*)::int as "n" from "document"`, database))[0]?.[
        "n"
      ];
    for (let tries = 0; (await indexed()) !== everything.length && tries < 1_000; tries += 1)
      await sleep(10);
    assert.equal(await indexed(), everything.length);
    await store.close();
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
