import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { take } from "../sql/step-take.ts";
import { indexedStatus } from "../sql/step-rows.ts";
import { Connection } from "./connection.ts";
import { migrate } from "./migrate.ts";
import { silentLog } from "./store.fixture.ts";

describe("the index of open steps", () => {
  const connection = new Connection(":memory:", "write");
  migrate(connection, { log: silentLog, now: "2026-01-01T00:00:00.000Z", backUp: () => {} });

  it("answers questions that repeat its condition", () => {
    const running = `select 1 from "step" "s" where "s"."runId" = ? and "s"."status" = 'running' and ${indexedStatus(`"s"`)}`;
    for (const sql of [running, take.sql]) {
      const plan = connection.all<{ readonly detail: string }>(`explain query plan ${sql}`, []);
      assert.match(plan.map(({ detail }) => detail).join("\n"), /INDEX stepOpen/u);
    }
  });

  it("is kept up by a change of status without a table that is made for it", () => {
    const change = `explain update "step" set "status" = ? where "id" = ?`;
    const program = connection.all<{ readonly opcode: string }>(change, []);
    assert.ok(program.length > 0);
    assert.deepEqual(
      program.filter(({ opcode }) => opcode === "OpenEphemeral"),
      [],
    );
  });
});
