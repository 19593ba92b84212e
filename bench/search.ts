import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import pg from "pg";
import { createPostgresStore } from "../src/adapters/stores/postgres/index.ts";
import { createSqliteStore } from "../src/adapters/stores/sqlite/index.ts";
import { silentLog } from "../src/adapters/stores/sqlite/store.fixture.ts";
import type { ObservedResource } from "../src/domain/resource.ts";
import { parseSearch } from "../src/domain/search-query.ts";
import type { LastingStore } from "../src/ports/store.ts";
import { FakeClock } from "../src/testing/fake-clock.ts";
import { anEnvironment, anEvent } from "../src/testing/store-contract-data.ts";
import { TestPostgres } from "../test/support/postgres.ts";
import { median, type Row } from "./measure.ts";

const environments = 100;
const ofEach = 1_000;
const rounds = 60;
const top = 20;

/** A query, and the same for the engine alone. */
interface Asked {
  readonly name: string;
  readonly query: string;
  readonly fts5: string;
  readonly tsquery: string;
}

const asked: readonly Asked[] = [
  { name: "a rare word", query: "rare77", fts5: '"rare77"', tsquery: "'rare77'" },
  { name: "a word that all have", query: "common", fts5: '"common"', tsquery: "'common'" },
  { name: "a beginning (1,111 words)", query: "rare7*", fts5: '"rare7" *', tsquery: "'rare7':*" },
  {
    name: "a word that all have, of one group in fifty",
    query: "common group:group7",
    fts5: '("common" AND "g_group7")',
    tsquery: "'common' & 'g_group7'",
  },
];

/** A common word and a condition that the index does not know and nothing fulfils: a page looks at all that it may. */
const filtered = "common status:drifted";

/**
 * 100,000 observed resources: the newest 20 that fit a query, with all that is shown of them, against one statement of the engine
 * that asks its index and joins the same rows.
 */
export async function searching(): Promise<readonly Row[]> {
  return [...(await onSqlite()), ...(await onPostgres())];
}

async function onSqlite(): Promise<readonly Row[]> {
  const directory = mkdtempSync(join(tmpdir(), "glasshouse-bench-"));
  const clock = new FakeClock();
  const store = await createSqliteStore({ directory, clock, log: silentLog });
  try {
    await fill(store, clock);
    const raw = new DatabaseSync(join(directory, "glasshouse.db"), { readOnly: true });
    const statement = raw.prepare(
      `select o.* from (select "rowid" as "number" from "documentText" where "documentText" match ?
         order by "rowid" desc limit ${top}) c join "document" d on d."number" = c."number"
       join "observed" o using ("environmentId", "template", "group", "address") order by d."number" desc`,
    );
    const rows = await measure("SQLite", store, async ({ fts5 }) => statement.all(fts5).length);
    raw.close();
    return rows;
  } finally {
    await store.close();
    rmSync(directory, { recursive: true });
  }
}

async function onPostgres(): Promise<readonly Row[]> {
  const postgres = await TestPostgres.start();
  try {
    const database = await postgres.createDatabase();
    const clock = new FakeClock();
    const store = await createPostgresStore({ url: postgres.url(database), clock, log: silentLog });
    const client = new pg.Client({ connectionString: postgres.url(database) });
    await client.connect();
    await fill(store, clock);
    await postgres.query("vacuum analyze", database);
    const text = `select o.* from (select "number" from "document" where "words" @@ $1::tsquery
         order by "number" desc limit ${top}) c join "document" d on d."number" = c."number"
       join "observed" o using ("environmentId", "template", "group", "address") order by d."number" desc`;
    const rows = await measure("PostgreSQL", store, async ({ tsquery }) => {
      const { rows: found } = await client.query({ name: "raw", text, values: [tsquery] });
      return found.length;
    });
    await client.end();
    await store.close();
    return rows;
  } finally {
    await postgres.remove();
  }
}

async function measure(
  engine: string,
  store: LastingStore,
  raw: (of: Asked) => Promise<number>,
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const of of asked) {
    const taken = { ours: [] as number[], raw: [] as number[] };
    for (let round = 0; round < rounds + 10; round += 1) {
      if (round === 10) for (const list of Object.values(taken)) list.length = 0;
      const counts = [
        await timed(taken.raw, () => raw(of)),
        await timed(taken.ours, () => find(store, of.query)),
      ];
      if (counts[0] !== counts[1]) throw new Error(`${of.query}: ${counts.join(" and ")} found`);
    }
    const [ours, bare] = [median(taken.ours), median(taken.raw)];
    rows.push({
      name: `search on ${engine}: ${of.name} (${ours.toFixed(2)} ms; raw ${bare.toFixed(2)} ms)`,
      value: ours / bare,
      unit: "× one statement of the engine",
      target: engine === "SQLite" ? "≤ 1.25" : "shown",
      ok: engine !== "SQLite" || ours / bare <= 1.25,
    });
  }
  const times: number[] = [];
  for (let round = 0; round < rounds; round += 1) await timed(times, () => find(store, filtered));
  const slowest = times.toSorted((a, b) => a - b).at(Math.floor(rounds * 0.99)) ?? Number.NaN;
  rows.push({
    name: `search on ${engine}: a word that all have, and a status that none has, p99 of a page`,
    value: slowest,
    unit: "ms",
    target: "≤ 10",
    ok: slowest <= 10,
  });
  return rows;
}

async function timed(into: number[], fn: () => Promise<number>): Promise<number> {
  const begun = performance.now();
  const count = await fn();
  into.push(performance.now() - begun);
  return count;
}

async function find(store: LastingStore, query: string): Promise<number> {
  const page = { limit: top, cursor: null };
  const { items } = await store.search((tx) => tx.searches.find(parseSearch(query), [], page));
  return items.length;
}

async function fill(store: LastingStore, clock: FakeClock): Promise<void> {
  for (let at = 0; at < environments; at += 1) {
    const environment = anEnvironment(clock);
    await store.transact(async (tx) => {
      await tx.environments.insert(environment);
      const place = { environmentId: environment.id, template: "bench", group: `group${at % 50}` };
      const observed = Array.from({ length: ofEach }, (_, n) => thing(at * ofEach + n));
      await tx.resources.replaceObserved(place, observed, "2026-01-01T00:00:00.000Z");
      const ended = anEvent(environment.id, { type: "step.succeeded", data: place });
      await tx.events.append([ended], "2026-01-01T00:00:00.000Z");
    });
    // By and by, as it is where there is a pause between commits now and then.
    await find(store, "none");
  }
}

function thing(number: number): ObservedResource {
  return {
    address: `aws_instance.server-${number}`,
    type: "aws_instance",
    externalId: `i-${number.toString(16)}`,
    attributes: { note: `common rare${number}`, zone: `zone${number % 3}`, size: "m5.large" },
  };
}
