import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parseSearch } from "../../../domain/search-query.ts";
import { FakeClock } from "../../../testing/fake-clock.ts";
import { everything, fillForSearch, find } from "../../../testing/store-contract-search.ts";
import { searchStatement } from "../sql/search-statement.ts";
import { Connection } from "./connection.ts";
import { fts5 } from "./full-text.ts";
import { inDirectory, open } from "./store.fixture.ts";

describe("the index of words in SQLite", () => {
  it("is filled with what was there before it", async () => {
    await inDirectory(async (directory) => {
      const clock = new FakeClock();
      const before = await open({ directory, clock });
      await fillForSearch(before, clock);
      await before.close();
      const connection = new Connection(join(directory, "glasshouse.db"), "write");
      connection.database.exec(
        `drop table "documentText"; drop table "document"; drop table "searchFill"; drop table "searchWriter";
         drop trigger "workerBegan"; drop trigger "workerChanged"; drop trigger "workerForgotten";
         drop table "searchPosition"; delete from "schemaVersion" where "version" >= 11; delete from "event" where "position" < 4`,
      );
      connection.close();
      const after = await open({ directory, clock });
      assert.deepEqual((await find(after, "shop OR -shop")).toSorted(), everything.toSorted());
      assert.deepEqual(await find(after, "type:consul_key"), everything.slice(0, 1));
      await after.close();
      const again = await open({ directory, clock });
      assert.equal((await find(again, "shop OR -shop")).length, everything.length);
      await again.close();
    });
  });

  it("leaves words of nothing that is gone", async () => {
    await inDirectory(async (directory) => {
      const clock = new FakeClock();
      const store = await open({ directory, clock });
      await fillForSearch(store, clock);
      assert.equal((await find(store, "ami")).length, 1);
      const at = { environmentId: "env_shop", template: "web-shop", group: "servers" };
      await store.transact(async (tx) => {
        await tx.resources.replaceObserved(at, [], "2026-01-01T00:00:00.000Z");
        await tx.resources.replaceGroup(at, []);
      });
      await store.close();
      const connection = new Connection(join(directory, "glasshouse.db"), "write");
      connection.database.exec(
        `insert into "documentText" ("documentText") values ('integrity-check');
         create virtual table temp."vocabulary" using fts5vocab(main, 'documentText', 'row')`,
      );
      const words = connection.all<{ readonly term: string }>(
        `select "term" from temp."vocabulary"`,
        [],
      );
      assert.ok(words.some(({ term }) => term === "cafe"));
      for (const gone of ["ami", "443", "quoted", "front", "host"])
        assert.ok(!words.some(({ term }) => term === gone), gone);
      connection.close();
    });
  });

  it("is asked without going through a table", async () => {
    await inDirectory(async (directory) => {
      await (await open({ directory })).close();
      const connection = new Connection(join(directory, "glasshouse.db"), "read");
      for (const query of ["web", "-web", "status:drifted", "web status:failed OR kind:resource"]) {
        const { documents, candidates } = searchStatement(fts5, {
          query: parseSearch(query),
          kinds: ["resource"],
          before: 7,
          limit: 20,
        });
        for (const asked of [documents, candidates]) {
          if (asked === null) continue;
          const plan = connection
            .all<{ readonly detail: string }>(`explain query plan ${asked.kept.sql}`, asked.cells)
            .map(({ detail }) => detail);
          const scans = plan.filter((line) => line.startsWith("SCAN"));
          // What is gone through is the answer of the index, and nothing else.
          assert.ok(
            scans.every((line) =>
              /^SCAN (?:c|documentText VIRTUAL TABLE INDEX .*M.*)$/u.test(line),
            ),
            plan.join("\n"),
          );
        }
      }
      connection.close();
    });
  });
});
