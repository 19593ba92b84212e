import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { PostgresStore } from "../../../src/adapters/stores/postgres/index.ts";
import type { Step } from "../../../src/domain/step.ts";
import { timestamp } from "../../../src/ports/clock.ts";
import type { Claim } from "../../../src/ports/work.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import {
  aWorker,
  claim,
  claimOne,
  fenceOf,
  insertWork,
  stepAt,
  succeeded,
  type Work,
} from "../../../src/testing/store-contract-data.ts";
import { StoreServer } from "../../support/postgres-store.ts";
import { postgresSkip } from "../../support/postgres.ts";

const follows = { steps: [{}, {}], upstreams: [[], [0]] } as const;

describe("a step's end on PostgreSQL", { skip: postgresSkip }, () => {
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

  /** Ends it where that may claim, and gives what was claimed so. */
  function endInPlace(store: PostgresStore, ended: Claim, may = true): Promise<readonly Claim[]> {
    return store.transact(
      async (tx) => {
        const outcome = { ...succeeded, now: timestamp(clock) };
        const { isOpen } = await tx.steps.end(fenceOf(ended), outcome);
        assert.equal(isOpen, true);
        return tx.steps.inPlace();
      },
      { brief: true, inPlace: () => may },
    );
  }

  it("claims the first step that it releases, with its intent", async () => {
    await withStore(async (store) => {
      const upstreams = [[], [0], [0]];
      const work = await insertWork({ store, clock }, { steps: [{}, {}, {}], upstreams });
      const ended = await claimOne({ store, clock });
      clock.advance(1_000);
      const claims = await endInPlace(store, ended);
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

  it("claims nothing when it may not, or when another step could be claimed", async () => {
    await withStore(async (store) => {
      const work = await insertWork({ store, clock }, follows);
      assert.deepEqual(await endInPlace(store, await claimOne({ store, clock }), false), []);
      assert.equal((await secondOf(store, work))?.status, "ready");
      const ended = await claimOne({ store, clock });
      assert.equal(ended.step.id, stepAt(work, 1).id);
      const next = await insertWork({ store, clock }, follows);
      const other = await claimOne({ store, clock });
      await insertWork({ store, clock });
      assert.deepEqual(await endInPlace(store, other), []);
      assert.equal((await secondOf(store, next))?.status, "ready");
    });
  });

  it("claims nothing before a step whose time has come", async () => {
    await withStore(async (store) => {
      await insertWork({ store, clock });
      const again = { availableAt: timestamp(clock, 500), counts: true, reason: "", failure: null };
      const fence = fenceOf(await claimOne({ store, clock }));
      await store.transact((tx) => tx.steps.retry(fence, { ...again, now: timestamp(clock) }));
      const work = await insertWork({ store, clock }, follows);
      const ended = await claimOne({ store, clock });
      clock.advance(1_000);
      assert.deepEqual(await endInPlace(store, ended), []);
      assert.equal((await secondOf(store, work))?.status, "ready");
      assert.equal((await claim({ store, clock })).length, 2);
    });
  });

  it("claims nothing that counts against another place or asks for other labels", async () => {
    await withStore(async (store) => {
      for (const over of [{ executor: "terraform" }, { runsOn: ["gpu"] }]) {
        const work = await insertWork({ store, clock }, { ...follows, steps: [{}, over] });
        const ended = await claimOne({ store, clock });
        assert.deepEqual(await endInPlace(store, ended), []);
        assert.equal((await secondOf(store, work))?.status, "ready");
        await claim({ store, clock });
      }
    });
  });

  it("claims nothing beyond the run's parallelism", async () => {
    await withStore(async (store, database) => {
      const steps = [{}, {}, {}];
      const run = { options: { deferred: "safe", parallelism: 2 } } as const;
      const work = await insertWork({ store, clock }, { steps, upstreams: [[], [0], []], run });
      const [first, second] = await claim({ store, clock });
      assert.ok(first !== undefined && second !== undefined);
      await stores.server.query(
        `update "run" set "parallelism" = 1 where "id" = '${work.run.id}'`,
        database,
      );
      assert.deepEqual(await endInPlace(store, first), []);
      assert.equal((await secondOf(store, work))?.status, "ready");
    });
  });

  it("claims nothing for a worker whose lease is over or that is gone", async () => {
    await withStore(async (store, database) => {
      const work = await insertWork({ store, clock }, follows);
      const ended = await claimOne({ store, clock });
      await stores.passTime(database, 61_000);
      assert.deepEqual(await endInPlace(store, ended), []);
      assert.equal((await secondOf(store, work))?.status, "ready");
    });
  });
});

async function secondOf(store: PostgresStore, work: Work): Promise<Step | null> {
  return store.read((tx) => tx.steps.get(stepAt(work, 1).id));
}
