import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { saidForMany } from "./many-rows.ts";

describe("a statement that is said for many rows", () => {
  it("asks for each row by itself, with its own order and limit", () => {
    const said = saidForMany(
      `select * from "run"\n where "id" = ? and "number" > ? order by "number" limit 1`,
    );
    assert.equal(
      said?.sql,
      `select "q".*, "i"."at" from unnest(?::text[], ?::bigint[]) with ordinality as "i"("p1", "p2", "at") ` +
        `cross join lateral (select * from "run" where "id" = "i"."p1" and "number" > "i"."p2" order by "number" limit 1) "q"`,
    );
    assert.equal(said.key(["a", 1]), said.key(["b", 2]));
  });

  it("changes what each row tells it to, and says which did", () => {
    const said = saidForMany(
      `update "step" set "token" = "token" + ?, "input" = ? where "id" = ? and "status" <> ?
       and exists (select 1 from "run" where "run"."id" = "step"."runId")`,
    );
    assert.equal(
      said?.sql,
      `update "step" set "token" = "token" + "i"."p1", "input" = "i"."p2" from ` +
        `unnest(?::bigint[], ?::text[], ?::text[], ?::text[]) with ordinality as "i"("p1", "p2", "p3", "p4", "at") ` +
        `where "id" = "i"."p3" and "status" <> "i"."p4" ` +
        `and exists (select 1 from "run" where "run"."id" = "step"."runId") returning "i"."at"`,
    );
  });

  it("keeps apart those that may touch the same row", () => {
    const said = saidForMany(`update "worker" set "status" = ? where "id" = ? and "status" <> ?`);
    assert.equal(said?.key(["gone", "w", "gone"]), said?.key(["draining", "w", "draining"]));
    assert.notEqual(said?.key(["gone", "w", "gone"]), said?.key(["gone", "v", "gone"]));
  });

  it("gives the rows that were asked for, of its table", () => {
    const said = saidForMany(`update "command" set "status" = ? where "runId" = ? returning *`);
    assert.match(String(said?.sql), / returning "command"\.\*, "i"\."at"$/u);
    const some = saidForMany(
      `update "run" set "done" = ? where "id" = ? returning "done", "total"`,
    );
    assert.match(String(some?.sql), / returning "done", "total", "i"\."at"$/u);
  });

  it("removes what each row tells it to", () => {
    const said = saidForMany(`delete from "environmentUse" where "runId" = ?`);
    assert.equal(
      said?.sql,
      `delete from "environmentUse" using unnest(?::text[]) with ordinality as "i"("p1", "at") ` +
        `where "runId" = "i"."p1" returning "i"."at"`,
    );
  });

  it("leaves what a list of one names, and says nothing of longer ones", () => {
    const others = `delete from "observed" where "group" = ? and "address" not in `;
    assert.equal(
      saidForMany(`${others}(?)`)?.sql,
      `delete from "observed" using unnest(?::text[], ?::text[]) with ordinality as "i"("p1", "p2", "at") ` +
        `where "group" = "i"."p1" and "address" not in ("i"."p2") returning "i"."at"`,
    );
    assert.equal(saidForMany(`${others}(?, ?)`), undefined);
  });

  it("inserts the rows, and tells which were not there already", () => {
    const said = saidForMany(
      `insert into "run" ("id", "blocker", "killRequested") values (?, null, ?) `,
    );
    const rows = `unnest(?::text[], ?::boolean[]) with ordinality as "i"("p1", "p2", "at")`;
    assert.equal(
      said?.sql,
      `insert into "run" ("id", "blocker", "killRequested") select "i"."p1", null, "i"."p2" from ${rows}`,
    );
    const head = `insert into "run" ("id", "killRequested") select "i"."p1", "i"."p2" from`;
    const some = saidForMany(
      `insert into "run" ("id", "killRequested") values (?, ?) on conflict do nothing`,
    );
    assert.equal(
      some?.sql,
      `with "i" as materialized (select * from ${rows}), "made" as (${head} "i" order by "i"."p2" on conflict do nothing returning "id") ` +
        `select "i"."at" from "i" join "made" on "made"."id" = "i"."p1"`,
    );
  });

  for (const [why, sql] of Object.entries({
    "it holds rows": `select 1 from "run" where "id" = ? for no key update`,
    "a parameter stands beside no column": `select "a" from "run" where "id" = ? and ? = 1`,
    "a name has several types": `select 1 from "ownedSecret" where "version" = ?`,
    "rows may touch the same": `update "step" set "offered" = 1 where "availableAt" <= ?`,
    "a condition is one of two": `update "relay" set "token" = 1 where "name" = ? or "owner" = ?`,
    "all rows are touched": `update "step" set "input" = ?`,
    "it asks for nothing": `select 1`,
    "a member is an expression": `insert into "run" ("id", "stage") values (?, lower(?))`,
    "there are two rows": `insert into "log" ("stepId", "line") values (?, ?), (?, ?)`,
  }))
    it(`has no such form where ${why}`, () => {
      assert.equal(saidForMany(sql), undefined);
    });

  it("is told what to touch by conditions that always hold, not by one of several", () => {
    const said = saidForMany(
      `update "relay" set "position" = 1 where "name" = ? and ("owner" = ? or "leaseEndsAt" <= ?)`,
    );
    assert.equal(said?.key(["r", "a", "t"]), said?.key(["r", "b", "t"]));
  });
});
