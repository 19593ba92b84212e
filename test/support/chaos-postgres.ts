import { after } from "node:test";
import { SystemClock } from "../../src/adapters/clock/system/index.ts";
import type { PostgresLimits } from "../../src/adapters/stores/postgres/store.ts";
import type { PostgresOptions } from "./postgres.ts";
import { StoreServer } from "./postgres-store.ts";
import type { WorldOptions } from "./world.ts";

const started = new Map<string, Promise<StoreServer>>();

/** The file's own PostgreSQL of this kind: started when it is first asked for, ended after the file's tests. */
export function sharedPostgres(options: PostgresOptions = {}): Promise<StoreServer> {
  const key = JSON.stringify(options);
  const known = started.get(key);
  if (known !== undefined) return known;
  const starting = StoreServer.start(new SystemClock(), options);
  started.set(key, starting);
  return starting;
}

after(async () => {
  for (const starting of started.values())
    await starting.then(
      ({ server }) => server.remove(),
      () => undefined,
    );
});

/** Lets worlds stand on one database. */
export async function onPostgres(
  database: string,
  limits: Partial<PostgresLimits> = {},
): Promise<Pick<WorldOptions, "open">> {
  const postgres = await sharedPostgres();
  return { open: (clock) => postgres.open(database, { clock, limits }) };
}
