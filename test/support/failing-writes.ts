import type { TestPostgres } from "./postgres.ts";

/**
 * Lets the n-th statement of a database that writes fail with a code, as when others are in the way. Counted by a sequence,
 * which a rollback does not take back.
 */
export class FailingWrites {
  readonly #server: TestPostgres;
  readonly #database: string;

  private constructor(server: TestPostgres, database: string) {
    this.#server = server;
    this.#database = database;
  }

  static async install(server: TestPostgres, database: string): Promise<FailingWrites> {
    await server.query(
      `create sequence "writes";
       create table "failing" ("at" bigint not null, "code" text not null);
       insert into "failing" values (0, '40001');
       create function "failAt"() returns trigger language plpgsql as $$
         declare "wanted" record;
         begin
           select * into "wanted" from "failing";
           if nextval('"writes"') = "wanted"."at" then
             raise exception 'on purpose' using errcode = "wanted"."code";
           end if;
           return null;
         end $$;
       do $$ declare "name" text; begin
         for "name" in select "table_name" from information_schema.tables
           where "table_schema" = 'public' and "table_name" not in ('failing', 'schemaVersion', 'journalPosition')
         loop
           execute format('create trigger "failing" before insert or update or delete on %I
             for each statement execute function "failAt"()', "name");
         end loop;
       end $$;`,
      database,
    );
    return new FailingWrites(server, database);
  }

  /** The n-th write from now on fails, once. */
  async at(n: number, code: string): Promise<void> {
    await this.#server.query(
      `update "failing" set "at" = ${n}, "code" = '${code}'; select setval('"writes"', 1, false);`,
      this.#database,
    );
  }

  /** How many writes there have been since. */
  async count(): Promise<number> {
    const [row] = await this.#server.query(
      `select case when "is_called" then "last_value" else 0 end::int as "count" from "writes"`,
      this.#database,
    );
    return Number(row?.["count"]);
  }
}
