import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeClock } from "../../../testing/fake-clock.ts";
import { storeContract } from "../../../testing/store-contract.ts";
import { createSqliteStore } from "./index.ts";
import { silentLog } from "./store.fixture.ts";

storeContract("SQLite", {
  async open({ unsafeWithoutFence }) {
    const directory = await mkdtemp(join(tmpdir(), "glasshouse-store-"));
    const clock = new FakeClock();
    const store = await createSqliteStore({
      directory,
      clock,
      log: silentLog,
      unsafeWithoutFence: unsafeWithoutFence ?? false,
    });
    return {
      store,
      clock,
      async passTime(byMs) {
        clock.advance(byMs);
      },
      async end() {
        await store.close();
        await rm(directory, { recursive: true });
      },
    };
  },
});
