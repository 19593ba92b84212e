import type { TestPostgres } from "../test/support/postgres.ts";

const copies = 100_000;

/**
 * Copies the one run of 10 steps that the database holds a hundred thousand times, environment, steps, attempts and events
 * with it, as a service has them that has worked for years.
 */
export async function oldSteps(postgres: TestPostgres, database: string): Promise<void> {
  await copy({ table: "environment", ids: [id("id")], also: `'status', 'destroyed'` });
  await copy({ table: "run", ids: [id("id"), id("environmentId")] });
  await copy({ table: "step", ids: [id("id"), id("runId"), id("environmentId")] });
  await copy({ table: "stepEdge", ids: [id("runId"), id("upstreamId"), id("stepId")] });
  await copy({ table: "attempt", ids: [id("stepId")] });
  await copy({ table: "groupRecord", ids: [id("environmentId")] });
  await postgres.query("vacuum analyze", database);

  async function copy(of: {
    readonly table: string;
    readonly ids: readonly string[];
    readonly also?: string;
  }): Promise<void> {
    const { table, ids, also } = of;
    const sequence = `pg_get_serial_sequence('"${table}"', 'number')`;
    const numbered = (await hasNumber(table)) ? [`'number', nextval(${sequence})`] : [];
    const members = [...ids, ...numbered, ...(also === undefined ? [] : [also])].join(", ");
    await postgres.query(
      `insert into "${table}" overriding system value
       select ("copy").* from (
         select jsonb_populate_record("old", jsonb_build_object(${members})) as "copy"
         from "${table}" "old", generate_series(1, ${copies}) "n" offset 0) "copies"`,
      database,
    );
  }

  async function hasNumber(table: string): Promise<boolean> {
    const rows = await postgres.query(
      `select 1 from information_schema.columns where table_name = '${table}' and column_name = 'number'`,
      database,
    );
    return rows.length > 0;
  }
}

function id(column: string): string {
  return `'${column}', "old"."${column}" || '.' || "n"`;
}
