import { randomUUID } from "node:crypto";
import { FakeClock } from "../../../testing/fake-clock.ts";
import { anEnvironment } from "../../../testing/store-contract-data.ts";
import { made } from "../../../testing/store-contract-search.ts";
import { createSqliteStore } from "./index.ts";
import type { SqliteStore } from "./index.ts";
import { silentLog } from "./store.fixture.ts";

/**
 * A process of its own with a store, for tests that end it: opens the directory, then, when told `write`, appends one
 * audit entry and makes one environment a transaction, and prints its number once the transaction has resolved.
 */
const [directory = "", what = ""] = process.argv.slice(2);
const clock = new FakeClock();
try {
  // The index of search follows between the commits, so that the end comes anywhere in that too.
  const limits = { restMs: 1 };
  const store = await createSqliteStore({ directory, clock, log: silentLog, limits });
  process.stdout.write("open\n");
  if (what === "write") await write(store);
  setInterval(() => {}, 1_000);
} catch (error) {
  process.stdout.write(`refused ${error instanceof Error ? error.message : ""}\n`);
}

async function write(store: SqliteStore): Promise<never> {
  for (let n = 1; ; n += 1) {
    const entry = { id: `a${n}`, time: "", actor: "", action: "", subject: "", commandId: null };
    await store.transact(async (tx) => {
      await tx.audits.append({ ...entry, detail: n });
      const environment = anEnvironment(clock, { id: `env_${randomUUID()}`, name: randomUUID() });
      await tx.environments.insert(environment);
      await tx.events.append([made(environment.id)], "");
    });
    // What is not said yet when the process is killed must be one transaction at most.
    await new Promise((said) => process.stdout.write(`${n}\n`, said));
  }
}
