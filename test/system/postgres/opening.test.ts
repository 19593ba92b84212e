import assert from "node:assert/strict";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { migrations, type Migration } from "../../../src/adapters/stores/sql/migrations.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import { anEnvironment, withCode } from "../../../src/testing/store-contract-data.ts";
import { makeCertificates } from "../../support/certificates.ts";
import { StoreServer } from "../../support/postgres-store.ts";
import { postgresSkip, TestPostgres } from "../../support/postgres.ts";

const clock = new FakeClock();

describe("opening a PostgreSQL", { skip: postgresSkip }, () => {
  let server: TestPostgres;
  before(async () => {
    server = await TestPostgres.start({ password: "a b:c@d/é" });
  });
  after(() => server.remove());
  const stores = () => new StoreServer(server, "template0");

  it("makes the schema once when many servers start at the same time", async () => {
    const database = await server.createDatabase();
    const said: string[] = [];
    const all = await Promise.all(
      Array.from({ length: 5 }, () =>
        stores().open(database, {
          clock,
          log: { debug() {}, info: (text) => said.push(text), warn() {}, error() {} },
        }),
      ),
    );
    assert.equal(said.filter((text) => text === "Database schema made").length, 1);
    const [first, second] = all;
    const environment = anEnvironment(clock);
    await first?.transact((tx) => tx.environments.insert(environment));
    assert.deepEqual(await second?.read((tx) => tx.environments.get(environment.id)), environment);
    await Promise.all(all.map((store) => store.close()));
  });

  it("refuses a schema that is newer than the program, and leaves nothing of a change that fails", async () => {
    const database = await server.createDatabase();
    const first: Migration = {
      version: 1,
      name: "first",
      statements: () => [`create table "a" ("b" text not null, "n" integer not null)`],
    };
    const broken: Migration = {
      version: 2,
      name: "broken",
      statements: () => [`create table "c" ("d" text)`, "this is no SQL"],
    };
    await assert.rejects(
      stores().open(database, { clock, migrations: [first, broken] }),
      /syntax error/u,
    );
    const tables = await server.query(
      `select "table_name" from information_schema.tables where "table_schema" = 'public' order by 1`,
      database,
    );
    assert.deepEqual(
      tables.map((row) => row["table_name"]),
      ["a", "schemaVersion"],
    );
    await server.query(`insert into "schemaVersion" values (999, 'later', 't')`, database);
    await assert.rejects(stores().open(database, { clock }), (error) => {
      assert.match(String(error), /schema 999, and this program knows schemas up to \d+/u);
      return withCode("conflict")(error);
    });
  });

  it("works with a newer schema whose changes allow it, also where nothing said so before", async () => {
    const database = await server.createDatabase();
    const newest = migrations.at(-1)?.version ?? 0;
    await (await stores().open(database, { clock })).close();
    await server.query(`alter table "schemaVersion" drop column "oldest"`, database);
    const one = [...migrations, later(newest)];
    await (await stores().open(database, { clock, migrations: one })).close();
    const store = await stores().open(database, { clock });
    await store.transact((tx) => tx.environments.insert(anEnvironment(clock)));
    await store.close();
    const two = [...one, later(newest + 1)];
    await (await stores().open(database, { clock, migrations: two })).close();
    await assert.rejects(stores().open(database, { clock }), withCode("conflict"));
    await (await stores().open(database, { clock, migrations: one })).close();
  });

  it("goes on with what it had prepared before another server changed the schema", async () => {
    const database = await server.createDatabase();
    const store = await stores().open(database, { clock });
    const environment = anEnvironment(clock);
    await store.transact((tx) => tx.environments.insert(environment));
    const { id } = environment;
    const get = () => store.read((tx) => tx.environments.get(id));
    const getInWrite = () => store.transact((tx) => tx.environments.get(id));
    for (const [first, second] of [
      [get, getInWrite],
      [getInWrite, get],
    ] as const) {
      assert.deepEqual([(await first())?.id, (await second())?.id], [id, id]);
      await server.query(
        `alter table "environment" add column "later${first.name}" text`,
        database,
      );
      assert.deepEqual([(await first())?.id, (await second())?.id], [id, id]);
    }
    await store.close();
  });

  it("says what is wrong with user, password or database, and never shows the password", async () => {
    const url = server.url("none").replace(/:[^:@/]*@/u, "@");
    const open = (password: string, to = url) =>
      stores().open("", { clock, url: to, password, limits: { startMs: 0 } });
    await assert.rejects(open("secret-but-wrong"), (error) => {
      assert.match(String(error), /password authentication failed.*store\.password/u);
      assert.ok(!String(error).includes("secret-but-wrong"));
      return withCode("invalid-configuration")(error);
    });
    await assert.rejects(open("a b:c@d/é"), /database "none" does not exist/u);
    const none = url.replace(`:${server.port}`, ":1");
    await assert.rejects(open("x", none), (error) => {
      assert.match(String(error), /ECONNREFUSED/u);
      return withCode("unavailable")(error);
    });
    for (const wrong of [
      "postgres://h/d",
      "postgres://u@h/d?sslmode=prefer",
      "postgres://u@h/d?x=1",
    ])
      await assert.rejects(open("x", wrong), withCode("invalid-configuration"));
  });

  it("keeps text in order of its bytes whatever the database's collation is", async () => {
    await server.query(`create database "words" template template0 locale 'C.UTF-8'`);
    const store = await stores().open("words", { clock });
    const collations = await server.query(
      `select distinct "collation_name" from information_schema.columns
       where "table_schema" = 'public' and "data_type" = 'text' and "table_name" <> 'schemaVersion'`,
      "words",
    );
    assert.deepEqual(collations, [{ collation_name: "C" }]);
    const narrow = await server.query(
      `select "table_name", "column_name" from information_schema.columns
       where "table_schema" = 'public' and "data_type" = 'integer'`,
      "words",
    );
    assert.deepEqual(narrow, []);
    await store.close();
  });
});

describe("a PostgreSQL that wants TLS", { skip: postgresSkip }, () => {
  let server: TestPostgres;
  let directory: string;
  let authority: string;
  let other: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "glasshouse-tls-"));
    const own = await makeCertificates(join(directory, "own"));
    other = (await makeCertificates(join(directory, "other"))).authority;
    authority = own.authority;
    server = await TestPostgres.start({
      password: "pw",
      tls: { certificate: own.server.certificate, key: own.server.key },
    });
  });
  after(async () => {
    await server.remove();
    await rm(directory, { recursive: true });
  });

  async function open(query: string, of: { caFile?: string; host?: string } = {}) {
    const { host = "127.0.0.1", caFile } = of;
    const url = `${server.url().replace("127.0.0.1", host)}${query}`;
    const stores = new StoreServer(server, "template0");
    const limits = { startMs: 0 };
    const store = await stores.open("", { clock, url, limits, caFile });
    const rows = await server.query(
      `select distinct "ssl" from pg_stat_ssl s join pg_stat_activity a using ("pid")
       where a."application_name" = 'glasshouse'`,
    );
    await store.close();
    return rows;
  }

  it("is reached with its authority, by file in the URL or in the configuration", async () => {
    const encrypted = [{ ssl: true }];
    const file = encodeURIComponent(authority);
    assert.deepEqual(await open(`?sslmode=verify-full&sslrootcert=${file}`), encrypted);
    assert.deepEqual(await open("?sslmode=verify-full", { caFile: authority }), encrypted);
    assert.deepEqual(await open("?sslmode=verify-ca", { caFile: authority }), encrypted);
    assert.deepEqual(await open("?sslmode=require"), encrypted);
  });

  it("is refused with another authority, with none, and under a name that it has not", async () => {
    await assert.rejects(open("?sslmode=verify-full", { caFile: other }), /certificate/u);
    await assert.rejects(open("?sslmode=verify-full"), /certificate/u);
    await assert.rejects(
      open("?sslmode=verify-full", { caFile: authority, host: "127.0.0.2" }),
      /127\.0\.0\.2|altnames/iu,
    );
    assert.equal(
      (await open("?sslmode=verify-ca", { caFile: authority, host: "127.0.0.2" })).length,
      1,
    );
  });

  it("refuses whoever comes without", async () => {
    await assert.rejects(open("?sslmode=disable"), (error) => {
      assert.match(String(error), /no encryption|pg_hba/u);
      return withCode("invalid-configuration")(error);
    });
  });

  it("names a file of authorities that is not there", async () => {
    await copyFile(authority, join(directory, "there.pem"));
    await assert.rejects(open("?sslmode=verify-ca", { caFile: "/none.pem" }), /none\.pem/u);
  });
});

/** A change after which programs that know the schema before still work. */
function later(oldest: number): Migration {
  return { version: oldest + 1, name: "later", statements: () => [], oldest };
}
