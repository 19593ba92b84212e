import type { Clock } from "../../src/ports/clock.ts";
import { createPostgresStore } from "../../src/adapters/stores/postgres/index.ts";
import type {
  PostgresStore,
  PostgresStoreOptions,
} from "../../src/adapters/stores/postgres/index.ts";
import { silentLog } from "../../src/adapters/stores/sqlite/store.fixture.ts";
import { TestPostgres, type PostgresOptions } from "./postgres.ts";

/** A server with a database that has the schema already: copies of it are made in some milliseconds. */
export class StoreServer {
  readonly server: TestPostgres;
  /** Name of the database that new ones are copies of. */
  readonly #template: string;

  constructor(server: TestPostgres, template: string) {
    this.server = server;
    this.#template = template;
  }

  static async start(clock: Clock, options: PostgresOptions = {}): Promise<StoreServer> {
    const server = await TestPostgres.start(options);
    try {
      const template = await server.createDatabase();
      const store = await createPostgresStore({
        url: server.url(template),
        clock,
        log: silentLog,
      });
      await store.close();
      return new StoreServer(server, template);
    } catch (error) {
      await server.remove();
      throw error;
    }
  }

  /** A new database with the schema; gives its name. */
  database(): Promise<string> {
    return this.server.createDatabase(this.#template);
  }

  /** A store on a database. */
  open(
    database: string,
    options: Pick<PostgresStoreOptions, "clock"> & Partial<PostgresStoreOptions>,
  ): Promise<PostgresStore> {
    return createPostgresStore({ url: this.server.url(database), log: silentLog, ...options });
  }

  /** Lets the time of leases pass: those that there are end so much earlier. */
  async passTime(database: string, byMs: number): Promise<void> {
    for (const table of ["worker", "relay"])
      await this.server.query(
        `update "${table}" set "leaseEndsAt" =
           to_char("leaseEndsAt"::timestamptz at time zone 'UTC' - interval '${byMs} ms', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
         where "leaseEndsAt" <> ''`,
        database,
      );
  }
}
