import { createPostgresStore } from "../src/adapters/stores/postgres/index.ts";
import { createLog } from "../src/adapters/telemetry/lines/index.ts";
import { fakeExecutor } from "../src/testing/fake-executor.ts";
import type { TestPostgres } from "../test/support/postgres.ts";
import { createWorld, type World, type WorldOptions } from "../test/support/world.ts";

interface WorldsOf {
  readonly postgres: TestPostgres;
  readonly database?: string | undefined;
  readonly workers: number;
  readonly executor?: ReturnType<typeof fakeExecutor>;
  readonly settings?: WorldOptions["settings"];
  /** False where others work on what is in the database. */
  readonly start?: boolean;
}

/** Engines with stores of their own on one database, which is made and removed unless it is given. */
export async function withWorlds<T>(
  of: WorldsOf,
  fn: (worlds: readonly [World, ...World[]]) => Promise<T>,
): Promise<T> {
  const { postgres, executor = fakeExecutor({ name: "timer" }), settings = {} } = of;
  const database = of.database ?? (await postgres.createDatabase());
  const log = createLog({ level: "error", format: "pretty" });
  const open = (): Promise<World> =>
    createWorld({
      executors: [executor],
      settings,
      start: of.start ?? true,
      open: (clock) => createPostgresStore({ url: postgres.url(database), clock, log }),
    });
  const first = await open();
  const others: World[] = [];
  try {
    for (let at = 1; at < of.workers; at += 1) others.push(await open());
    return await fn([first, ...others]);
  } finally {
    for (const world of [first, ...others]) await world.close();
    if (of.database === undefined) await postgres.dropDatabase(database);
  }
}
