import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import pg from "pg";
import { endAll } from "../../../src/adapters/stores/postgres/end-step.ts";
import type { PostgresStore } from "../../../src/adapters/stores/postgres/index.ts";
import type { Step } from "../../../src/domain/step.ts";
import { timestamp } from "../../../src/ports/clock.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import {
  anEvent,
  aWorker,
  claim,
  claimOne,
  fenceOf,
  ids,
  insertWork,
  stepAt,
  succeeded,
  type Work,
} from "../../../src/testing/store-contract-data.ts";
import { endInPlace } from "../../../src/testing/store-contract-in-place.ts";
import { StoreServer } from "../../support/postgres-store.ts";
import { postgresSkip } from "../../support/postgres.ts";

describe("a step's end on PostgreSQL that releases several", { skip: postgresSkip }, () => {
  const clock = new FakeClock();
  let stores: StoreServer;
  before(async () => {
    stores = await StoreServer.start(clock);
  });
  after(() => stores.server.remove());

  async function withStore(fn: (store: PostgresStore, database: string) => Promise<void>) {
    const database = await stores.database();
    const store = await stores.open(database, { clock });
    await store.transact((tx) => tx.workers.put(aWorker(clock, { id: "wrk_1" }), 60_000));
    try {
      await fn(store, database);
    } finally {
      await store.close();
    }
  }

  it("claims the first step that it releases, with its intent", async () => {
    await withStore(async (store) => {
      const upstreams = [[], [0], [0]];
      const work = await insertWork({ store, clock }, { steps: [{}, {}, {}], upstreams });
      const ended = await claimOne({ store, clock });
      clock.advance(1_000);
      const claims = await endInPlace({ store, clock }, ended);
      const now = timestamp(clock);
      const step = {
        ...stepAt(work, 1),
        status: "running",
        waitingOn: 0,
        token: 1,
        worker: "wrk_1",
        startedAt: now,
      };
      assert.deepEqual(claims, [{ step, settle: false, runAttempt: 1 }]);
      assert.deepEqual(await secondOf(store, work), step);
      const attempts = await store.read((tx) => tx.steps.attempts(step.id));
      const [{ child, notes, failure, ...attempt } = {}] = attempts;
      assert.deepEqual([child, notes, failure], [null, [], null]);
      assert.deepEqual(attempt, {
        stepId: step.id,
        token: 1,
        worker: "wrk_1",
        startedAt: now,
        finishedAt: null,
        outcome: null,
      });
      const others = await claim({ store, clock });
      assert.deepEqual(
        others.map((one) => one.step.id),
        [stepAt(work, 2).id],
      );
    });
  });

  it("goes through rows in proportion to how many it releases", async () => {
    await withStore(async (store, database) => {
      // As transactions of this kind have it.
      for (const way of ["seqscan", "hashjoin", "mergejoin"])
        await stores.server.query(`alter database "${database}" set enable_${way} = off`);
      const few = await rowsGoneThrough(store, database, 100);
      const many = await rowsGoneThrough(store, database, 400);
      assert.ok(few > 100, `${few} rows for 100 steps`);
      assert.ok(many < 6 * few, `${few} rows for 100 steps, ${many} for 400`);
    });
  });

  /** Ends a step that so many follow. */
  async function rowsGoneThrough(store: PostgresStore, database: string, followers: number) {
    const steps = Array.from({ length: followers + 1 }, () => ({}));
    const upstreams = steps.map((_, index) => (index === 0 ? [] : [0]));
    await insertWork({ store, clock }, { steps, upstreams });
    const { step } = await claimOne({ store, clock });
    const { id, runId, environmentId, token } = step;
    const ended = ["succeeded", null, "null", "[]", timestamp(clock), 1, "succeeded"];
    const cells = [id, runId, environmentId, token, ...ended, 1, 0, 0, true];
    const values = cells.map((cell) => (cell === null ? "null" : `'${cell}'`)).values();
    const text = endAll.replaceAll("?", () => `array[${values.next().value ?? ""}]`);
    const rows = await stores.server.query(`explain (analyze, timing off) ${text}`, database);
    assert.equal((await store.read((tx) => tx.steps.get(step.id)))?.status, "succeeded");
    return rows.map((row) => goneThrough(String(row["QUERY PLAN"]))).reduce((a, b) => a + b, 0);
  }
});

/** Rows that one node of a plan gave, or looked at in vain. */
function goneThrough(line: string): number {
  const [, rows = "0", loops = "1"] = /actual rows=(\d+) loops=(\d+)/u.exec(line) ?? [];
  const [, vain = "0"] = /Rows Removed by .*: (\d+)/u.exec(line) ?? [];
  return Number(rows) * Number(loops) + Number(vain);
}

describe("a claim in place on PostgreSQL", { skip: postgresSkip }, () => {
  const clock = new FakeClock();
  let stores: StoreServer;
  before(async () => {
    stores = await StoreServer.start(clock);
  });
  after(() => stores.server.remove());

  it("ends before the database has been asked, and waits for it with its commit", async () => {
    const database = await stores.database();
    const store = await stores.open(database, { clock });
    const other = new pg.Client({ connectionString: stores.server.url(database) });
    await other.connect();
    try {
      const steps = [{}, {}, {}, {}];
      const work = await insertWork({ store, clock }, { steps, upstreams: [[], [0], [1], [2]] });
      const first = await claimOne({ store, clock });
      const [second] = await endInPlace({ store, clock }, first);
      assert.ok(second !== undefined);
      await other.query("begin");
      await other.query(`select from "environment" where "id" = $1 for update`, [
        work.environment.id,
      ]);
      const told = Promise.withResolvers<readonly string[]>();
      const now = timestamp(clock);
      const ending = store.transact(
        async (tx) => {
          await tx.steps.end(fenceOf(second), { ...succeeded, now });
          const [event] = await tx.events.append([anEvent(work.environment.id)], now);
          told.resolve([...ids(tx.steps.inPlace()), `event ${event?.sequence}`]);
        },
        { brief: true, inPlace: () => true },
      );
      assert.deepEqual(await told.promise, [stepAt(work, 2).id, "event 1"]);
      const third = await store.read((tx) => tx.steps.get(stepAt(work, 2).id));
      assert.equal(third?.status, "blocked");
      await other.query("commit");
      await ending;
      assert.equal((await store.read((tx) => tx.steps.get(stepAt(work, 2).id)))?.status, "running");
    } finally {
      await other.end();
      await store.close();
    }
  });
});

async function secondOf(store: PostgresStore, work: Work): Promise<Step | null> {
  return store.read((tx) => tx.steps.get(stepAt(work, 1).id));
}
