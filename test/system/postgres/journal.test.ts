import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { PostgresStore } from "../../../src/adapters/stores/postgres/index.ts";
import { timestamp } from "../../../src/ports/clock.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import { anEnvironment, anEvent, journalOf } from "../../../src/testing/store-contract-data.ts";
import { StoreServer } from "../../support/postgres-store.ts";
import { postgresSkip } from "../../support/postgres.ts";

describe("positions of the journal in PostgreSQL", { skip: postgresSkip }, () => {
  const clock = new FakeClock();
  let stores: StoreServer;
  before(async () => {
    stores = await StoreServer.start(clock);
  });
  after(() => stores.server.remove());

  it("never pass over a commit that is late, as ids given before it would", async () => {
    const database = await stores.database();
    const store = await stores.open(database, { clock });
    const append = () => store.transact((tx) => tx.events.append([anEvent(null)], "t"));
    await append();
    const [first] = await journalOf(store, 1);
    assert.ok(first);
    const late = Promise.withResolvers<void>();
    const inserted = Promise.withResolvers<void>();
    const slow = store.transact(async (tx) => {
      await tx.events.append([anEvent(null, { subject: "templates/late@1.0.0" })], "t");
      // Its row is written, its number given, before the other commits.
      await tx.audits.list({ limit: 1, cursor: null });
      inserted.resolve();
      await late.promise;
    });
    await inserted.promise;
    await append();
    const seen = await journalOf(store, 2);
    assert.equal(seen.length, 2);
    const cursor = seen.at(-1)?.position ?? 0;
    late.resolve();
    await slow;
    await journalOf(store, 3);
    const missed = await store.read((tx) => tx.events.after(cursor, { limit: 10 }));
    assert.deepEqual(
      missed.map(({ subject }) => subject),
      ["templates/late@1.0.0"],
    );
    await store.close();
  });

  it("are given once and without a hole by any number of processes, in order of each environment", async () => {
    const database = await stores.database();
    const all = await Promise.all([1, 2, 3].map(() => stores.open(database, { clock })));
    const [one] = all;
    assert.ok(one);
    const environments = [1, 2, 3, 4].map(() => anEnvironment(clock));
    await one.transact(async (tx) => {
      for (const each of environments) await tx.environments.insert(each);
    });
    const append = (store: PostgresStore, n: number) =>
      store.transact((tx) =>
        tx.events.append([anEvent(environments[n % 4]?.id ?? null)], timestamp(clock)),
      );
    const appends = Array.from({ length: 120 }, (_none, n) => append(all[n % 3] ?? one, n));
    await Promise.all(appends);
    const journal = await journalOf(one, 120);
    assert.deepEqual(
      journal.map(({ position }) => position),
      Array.from({ length: 120 }, (_none, n) => n + 1),
    );
    for (const { id } of environments) {
      const own = journal.filter(({ environmentId }) => environmentId === id);
      assert.deepEqual(
        own.map(({ sequence }) => sequence),
        Array.from({ length: 30 }, (_none, n) => n + 1),
      );
    }
    await Promise.all(all.map((store) => store.close()));
  });

  it("are given by others when the process that committed dies before it could", async () => {
    const database = await stores.database();
    const store = await stores.open(database, { clock });
    // As a process leaves it that is killed between its commit and the numbering.
    await stores.server.query(
      `insert into "event" ("id", "type", "sequence", "subject", "data", "time")
       values ('evt_1', 'template.registered', 0, 's', 'null', 't')`,
      database,
    );
    assert.equal((await journalOf(store, 1)).length, 1);
    await store.close();
  });

  it("are given although connections of those who number are killed again and again", async () => {
    const database = await stores.database();
    const store = await stores.open(database, { clock });
    const killing = new AbortController();
    const kill = async (): Promise<void> => {
      while (!killing.signal.aborted) {
        await stores.server.query(
          `select pg_terminate_backend("pid") from pg_stat_activity where "query" like '%numberEvents%' and "pid" <> pg_backend_pid()`,
          database,
        );
        await sleep(30);
      }
    };
    const killer = kill();
    for (let n = 0; n < 40; n += 1) {
      await store.transact((tx) => tx.events.append([anEvent(null)], "t"));
      await sleep(5);
    }
    killing.abort();
    await killer;
    const journal = await journalOf(store, 40);
    assert.deepEqual(
      journal.map(({ position }) => position),
      Array.from({ length: 40 }, (_none, n) => n + 1),
    );
    await store.close();
  });

  it("wake a process again after its listening connection was killed", async () => {
    const database = await stores.database();
    const [one, two] = await Promise.all([1, 2].map(() => stores.open(database, { clock })));
    assert.ok(one && two);
    for (let round = 0; round < 3; round += 1) {
      await stores.server.query(
        `select pg_terminate_backend("pid") from pg_stat_activity where "query" = 'listen glasshouse' and "datname" = '${database}'`,
      );
      const woken = new Promise<void>((resolve) => {
        const unwatch = two.watch("journal", () => {
          unwatch();
          resolve();
        });
      });
      await one.transact((tx) => tx.events.append([anEvent(null)], "t"));
      await woken;
    }
    // The last one was perhaps heard of by polling, before it listens again.
    while ((await two.health()).status !== "up") await sleep(50);
    await Promise.all([one.close(), two.close()]);
  });

  it("go on where they were after retention has removed the oldest", async () => {
    const database = await stores.database();
    const store = await stores.open(database, { clock });
    const append = () =>
      store.transact((tx) => tx.events.append([anEvent(null), anEvent(null)], timestamp(clock)));
    await append();
    await journalOf(store, 2);
    clock.advance(60_000);
    await append();
    await journalOf(store, 4);
    await store.prune({ journalBefore: timestamp(clock) });
    assert.equal(await store.read((tx) => tx.events.oldest()), 3);
    await append();
    await journalOf(store, 4);
    assert.equal(await store.read((tx) => tx.events.head()), 6);
    await store.close();
  });
});
