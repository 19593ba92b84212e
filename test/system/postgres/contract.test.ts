import { after, before, describe } from "node:test";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import { storeContract } from "../../../src/testing/store-contract.ts";
import { StoreServer } from "../../support/postgres-store.ts";
import { postgresSkip } from "../../support/postgres.ts";

describe("the PostgreSQL store", { skip: postgresSkip }, () => {
  let stores: StoreServer;
  before(async () => {
    stores = await StoreServer.start(new FakeClock());
  });
  after(() => stores.server.remove());

  storeContract("PostgreSQL", {
    async open({ unsafeWithoutFence }) {
      const clock = new FakeClock();
      const database = await stores.database();
      const store = await stores.open(database, {
        clock,
        unsafeWithoutFence: unsafeWithoutFence ?? false,
      });
      return {
        store,
        clock,
        passTime: (byMs) => stores.passTime(database, byMs),
        async end() {
          await store.close();
          await stores.server.dropDatabase(database);
        },
      };
    },
  });
});
