import { FakeClock } from "../../../testing/fake-clock.ts";
import { createSqliteStore } from "./index.ts";
import type { SqliteStore } from "./index.ts";
import { silentLog } from "./store.fixture.ts";

/**
 * A process of its own with a store, for tests that end it: opens the directory, then, when told `write`, appends one
 * audit entry a transaction and prints its number once the transaction has resolved.
 */
const [directory = "", what = ""] = process.argv.slice(2);
const clock = new FakeClock();
try {
  const store = await createSqliteStore({ directory, clock, log: silentLog });
  process.stdout.write("open\n");
  if (what === "write") await write(store);
  setInterval(() => {}, 1_000);
} catch (error) {
  process.stdout.write(`refused ${error instanceof Error ? error.message : ""}\n`);
}

async function write(store: SqliteStore): Promise<never> {
  for (let n = 1; ; n += 1) {
    const entry = { id: `a${n}`, time: "", actor: "", action: "", subject: "", commandId: null };
    await store.transact((tx) => tx.audits.append({ ...entry, detail: n }));
    // What is not said yet when the process is killed must be one transaction at most.
    await new Promise((said) => process.stdout.write(`${n}\n`, said));
  }
}
