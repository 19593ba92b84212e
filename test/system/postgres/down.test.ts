import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { SystemClock } from "../../../src/adapters/clock/system/index.ts";
import type { PostgresStore } from "../../../src/adapters/stores/postgres/index.ts";
import { silentLog } from "../../../src/adapters/stores/sqlite/store.fixture.ts";
import { Remotes } from "../../../src/clients/resilience/remotes.ts";
import { StoreFault } from "../../../src/domain/errors.ts";
import { noMetrics } from "../../../src/ports/telemetry.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import { anEnvironment, withCode } from "../../../src/testing/store-contract-data.ts";
import { StoreServer } from "../../support/postgres-store.ts";
import { postgresSkip } from "../../support/postgres.ts";
import { TcpProxy } from "../../support/proxy.ts";

describe("a PostgreSQL that is away", { skip: postgresSkip }, () => {
  const clock = new FakeClock();
  let stores: StoreServer;
  before(async () => {
    stores = await StoreServer.start(clock, { fsync: true });
  });
  after(() => stores.server.remove());

  it("is told of as unavailable, and work goes on when it is back, without anybody's help", async () => {
    const database = await stores.database();
    const store = await stores.open(database, { clock });
    await store.transact((tx) => tx.environments.insert(anEnvironment(clock)));
    await stores.server.stop("fast");
    await assert.rejects(
      store.transact((tx) => tx.environments.insert(anEnvironment(clock))),
      isAway,
    );
    await assert.rejects(
      store.read((tx) => tx.workers.list()),
      isAway,
    );
    assert.equal((await store.health()).status, "down");
    await stores.server.start();
    await store.transact((tx) => tx.environments.insert(anEnvironment(clock)));
    for (let n = 0; n < 100 && (await store.health()).status !== "up"; n += 1) await sleep(50);
    assert.equal((await store.health()).status, "up");
    await store.close();
  });

  it("is told of in the same way while nothing is sent to it because it is down", async () => {
    const database = await stores.database();
    const remotes = new Remotes({ metrics: noMetrics, log: silentLog, clock: new SystemClock() });
    const store = await stores.open(database, { clock, remotes });
    await stores.server.stop("fast");
    try {
      const seen: string[] = [];
      for (let tries = 0; tries < 5; tries += 1)
        await assert.rejects(
          store.read((tx) => tx.workers.list()),
          (error) => {
            seen.push(String(error));
            return isAway(error);
          },
        );
      assert.match(seen.at(-1) ?? "", /nothing is sent to it for now/u);
    } finally {
      await stores.server.start();
      await store.close();
    }
  });

  for (const how of ["stopped", "killed"] as const) {
    it(`loses nothing and doubles nothing of what is asked again while it is ${how} five times`, async () => {
      const database = await stores.database();
      const store = await stores.open(database, { clock });
      const environment = anEnvironment(clock);
      await store.transact((tx) => tx.environments.insert(environment));
      const over = new AbortController();
      let done = 0;
      const work = async (): Promise<void> => {
        while (!over.signal.aborted) {
          const one = await counted(store, environment.id);
          done += one;
        }
      };
      const workers = Promise.all(Array.from({ length: 6 }, work));
      for (let n = 0; n < 5; n += 1) {
        await sleep(150);
        await (how === "killed" ? stores.server.kill() : stores.server.stop("fast"));
        await stores.server.start();
      }
      await sleep(200);
      over.abort();
      await workers;
      assert.ok(done > 20, `${done} done`);
      const now = await store.read((tx) => tx.environments.get(environment.id));
      assert.equal(now?.generation, 1 + done);
      await store.close();
    });
  }

  it("is left for the standby that was promoted in its place", async () => {
    const database = await stores.database();
    const standby = await stores.server.standby();
    const { port } = stores.server;
    try {
      const url = stores.server
        .url(database)
        .replace(`:${port}/`, `:${port},127.0.0.1:${standby.port}/`);
      const store = await stores.open(database, { clock, url });
      const environment = anEnvironment(clock);
      await store.transact((tx) => tx.environments.insert(environment));
      await waitFor(async () => {
        const rows = await standby.query(`select 1 from "environment"`, database);
        return rows.length === 1;
      });
      await stores.server.kill();
      await standby.promote();
      const generation = 7;
      await waitFor(() =>
        store
          .transact((tx) => tx.environments.update(environment.id, { generation }))
          .then(() => true),
      );
      const there = await standby.query(`select "generation" from "environment"`, database);
      assert.deepEqual(there, [{ generation: "7" }]);
      assert.match((await store.health()).detail, new RegExp(`:${standby.port}/`, "u"));
      await store.close();
    } finally {
      await standby.remove();
      await stores.server.start();
    }
  });

  it("is not taken for there when only a standby is", async () => {
    const standby = await stores.server.standby();
    try {
      const url = standby.url();
      const opening = stores.open("", { clock, url, limits: { startMs: 100 } });
      await assert.rejects(opening, /is a standby/u);
    } finally {
      await standby.remove();
    }
  });

  it("is given up when nothing is heard of it, instead of waited for without end", async () => {
    const database = await stores.database();
    const proxy = await TcpProxy.open(stores.server.port);
    const url = stores.server.url(database).replace(`:${stores.server.port}/`, `:${proxy.port}/`);
    const limits = { statementMs: 100, connectMs: 500, poolWaitMs: 500, silentMarginMs: 500 };
    const store = await stores.open(database, { clock, url, limits });
    await store.transact((tx) => tx.environments.insert(anEnvironment(clock)));
    proxy.blackHole();
    await assert.rejects(
      store.transact((tx) => tx.environments.insert(anEnvironment(clock))),
      isAway,
    );
    assert.equal((await store.health()).status, "down");
    proxy.clear();
    await waitFor(() =>
      store.transact((tx) => tx.environments.insert(anEnvironment(clock))).then(() => true),
    );
    await store.close();
    await proxy.close();
  });

  it("that has no connection left in the pool says so in time, and others are not harmed", async () => {
    const database = await stores.database();
    const limits = { pool: 2, poolWaitMs: 300 };
    const store = await stores.open(database, { clock, limits });
    const hold = Promise.withResolvers<void>();
    const holders: Promise<void>[] = [];
    // Those that begin in the same turn of the event loop would share a connection.
    for (let n = 0; n < limits.pool; n += 1) {
      holders.push(
        store.read(async (tx) => {
          await tx.workers.list();
          await hold.promise;
        }),
      );
      await sleep(50);
    }
    const asked = performance.now();
    await assert.rejects(
      store.read((tx) => tx.workers.list()),
      (error) => {
        assert.match(String(error), /All 2 connections .* store\.pool/u);
        return isAway(error);
      },
    );
    assert.ok(performance.now() - asked < 3_000);
    // Health has a connection of its own.
    assert.equal((await store.health()).status, "up");
    hold.resolve();
    await Promise.all(holders);
    assert.deepEqual(await store.read((tx) => tx.workers.list()), []);
    await store.close();
  });

  it("whose disk is full refuses writes with the product's word for it", async () => {
    const database = await stores.database();
    await stores.server.query(
      `create function "full"() returns trigger language plpgsql as $$
         begin raise exception 'no space left on device' using errcode = '53100'; end $$;
       create trigger "full" before insert on "environment" execute function "full"();`,
      database,
    );
    const store = await stores.open(database, { clock });
    await assert.rejects(
      store.transact((tx) => tx.environments.insert(anEnvironment(clock))),
      withCode("storage-full"),
    );
    await store.close();
  });
});

/** Raises the generation, asking until it is done; 1 for every time that it was told to be. */
async function counted(store: PostgresStore, id: string): Promise<number> {
  try {
    await store.transact(async (tx) => {
      const now = await tx.environments.get(id);
      await tx.environments.update(id, { generation: (now?.generation ?? 0) + 1 });
    });
    return 1;
  } catch (error) {
    assert.ok(isAway(error));
    await sleep(20);
    return 0;
  }
}

async function waitFor(condition: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      if (await condition()) return;
    } catch (error) {
      if (tries > 300) throw error;
    }
    if (tries > 300) throw new Error("It did not come true");
    await sleep(50);
  }
}

/** For whoever asks it is everybody's affair: commands of a bus wait, and are not laid down. */
function isAway(error: unknown): boolean {
  return error instanceof StoreFault && withCode("unavailable")(error);
}
