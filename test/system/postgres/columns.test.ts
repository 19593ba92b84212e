import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { columnType } from "../../../src/adapters/stores/postgres/column-types.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import { StoreServer } from "../../support/postgres-store.ts";
import { postgresSkip } from "../../support/postgres.ts";

const letters: Readonly<Record<string, string>> = { text: "t", bigint: "n", boolean: "b" };

describe("columns of the PostgreSQL store", { skip: postgresSkip }, () => {
  let stores: StoreServer;
  before(async () => {
    stores = await StoreServer.start(new FakeClock());
  });
  after(() => stores.server.remove());

  it("hold what their names are known for", async () => {
    const columns = await stores.server.query(
      `select "column_name"::text as "name", string_agg(distinct "data_type"::text, ' ') as "types"
       from "information_schema"."columns" where "table_schema" = 'public' group by 1`,
      await stores.database(),
    );
    assert.ok(columns.length > 100);
    for (const column of columns) {
      const [name, types] = [String(column["name"]), String(column["types"])];
      assert.equal(columnType(name), letters[types] ?? null, `${name} holds ${types}`);
    }
  });
});
