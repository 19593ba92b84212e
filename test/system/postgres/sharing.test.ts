import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { timestamp } from "../../../src/ports/clock.ts";
import type { Store, Tx } from "../../../src/ports/store.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import {
  aWorker,
  anEvent,
  claim,
  fenceOf,
  insertWork,
  journalOf,
  succeeded,
  withCode,
} from "../../../src/testing/store-contract-data.ts";
import { StoreServer } from "../../support/postgres-store.ts";
import { postgresSkip } from "../../support/postgres.ts";

const brief = { brief: true } as const;

describe("brief transactions that come at once", { skip: postgresSkip }, () => {
  const clock = new FakeClock();
  let stores: StoreServer;
  before(async () => {
    stores = await StoreServer.start(clock);
  });
  after(() => stores.server.remove());

  /** A store whose commits are counted, with so many claimed steps, each of an environment of its own. */
  async function working(count: number) {
    let commits = 0;
    const database = await stores.database();
    const store = await stores.open(database, {
      clock,
      onCommit: (_, phase) => (commits += phase === "after" ? 1 : 0),
    });
    for (let n = 0; n < count; n += 1)
      await insertWork({ store, clock }, { steps: [{}, {}], upstreams: [[], [0]] });
    const claims = await claim({ store, clock }, { limit: count });
    assert.equal(claims.length, count);
    const until = commits;
    return { database, store, claims, commits: () => commits - until };
  }

  function endOf(claimed: Awaited<ReturnType<typeof claim>>[number]) {
    const fence = fenceOf(claimed);
    return async (tx: Tx): Promise<string> => {
      const { progress, isOpen } = await tx.steps.end(fence, {
        ...succeeded,
        now: timestamp(clock),
        progress: { done: 1 },
      });
      await tx.events.append([anEvent(fence.environmentId)], timestamp(clock));
      return `${progress?.done} ${isOpen}`;
    };
  }

  it("share a commit, and each gets what is its own", async () => {
    const { store, claims, commits } = await working(30);
    const told = await Promise.all(claims.map((one) => store.transact(endOf(one), brief)));
    assert.deepEqual(new Set(told), new Set(["1 true"]));
    assert.equal(commits(), 1);
    for (const { step } of claims) {
      assert.ok(await ended(store, step.id));
      const attempts = await store.read((tx) => tx.steps.attempts(step.id));
      assert.deepEqual(
        attempts.map(({ outcome }) => outcome),
        ["succeeded"],
      );
    }
    assert.equal((await claim({ store, clock }, { limit: 99 })).length, 30);
    const events = await journalOf(store, claims.length);
    assert.deepEqual(
      events.map(({ sequence }) => sequence),
      claims.map(() => 1),
    );
    await store.close();
  });

  it("do not take along one that fails after it has written, nor does it them", async () => {
    const { store, claims } = await working(12);
    const [first, second, ...others] = claims;
    assert.ok(first && second);
    const told = await Promise.allSettled([
      ...others.map((one) => store.transact(endOf(one), brief)),
      store.transact(async (tx) => {
        await endOf(first)(tx);
        throw new Error("on purpose");
      }, brief),
      store.transact(endOf({ ...second, step: { ...second.step, token: 7 } }), brief),
    ]);
    const failed = told.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
    assert.equal(failed.length, 2);
    assert.match(String(failed[0]), /on purpose/u);
    assert.ok(withCode("stale-token")(failed[1]));
    for (const { step } of others) assert.ok(await ended(store, step.id));
    for (const { step } of [first, second]) assert.ok(!(await ended(store, step.id)));
    const run = await store.read((tx) => tx.runs.get(first.step.runId));
    assert.equal(run?.progress.done, 0);
    assert.equal((await journalOf(store, others.length)).length, others.length);
    await store.close();
  });

  it("do not take along one whose statement the database refuses", async () => {
    const { store, claims, database } = await working(6);
    const [first, ...others] = claims;
    assert.ok(first);
    await stores.server.query(
      `create function "never"() returns trigger language plpgsql as $$
         begin raise exception 'not this one'; end $$;
       create trigger "never" before update on "step" for each row
         when (new."id" = '${first.step.id}') execute function "never"();`,
      database,
    );
    const told = await Promise.allSettled(claims.map((one) => store.transact(endOf(one), brief)));
    assert.deepEqual(
      told.map(({ status }) => status),
      ["rejected", ...others.map(() => "fulfilled")],
    );
    for (const { step } of others) assert.ok(await ended(store, step.id));
    assert.equal((await journalOf(store, others.length)).length, others.length);
    await store.close();
  });

  it("change one environment one after the other", async () => {
    const { store, claims } = await working(3);
    const told: number[] = [];
    await Promise.all(
      claims.flatMap(({ step: { environmentId } }) =>
        Array.from({ length: 8 }, () =>
          store.transact(async (tx) => {
            const found = await tx.environments.get(environmentId);
            const generation = (found?.generation ?? 0) + 1;
            await tx.environments.update(environmentId, { generation });
            const [event] = await tx.events.append([anEvent(environmentId)], timestamp(clock));
            told.push(event?.sequence ?? 0);
          }, brief),
        ),
      ),
    );
    for (const { step } of claims) {
      const environment = await store.read((tx) => tx.environments.get(step.environmentId));
      assert.equal(environment?.generation, 9);
      assert.equal(environment.sequence, 8);
    }
    const sequences = (await journalOf(store, 24)).map(({ sequence }) => sequence);
    const each = claims.flatMap(() => [1, 2, 3, 4, 5, 6, 7, 8]);
    assert.deepEqual(
      sequences.toSorted((a, b) => a - b),
      each.toSorted((a, b) => a - b),
    );
    await store.close();
  });

  it("do not wait for one whose environment another process holds", async () => {
    const { store, claims, database } = await working(4);
    const [first, ...others] = claims;
    assert.ok(first);
    const replica = await stores.open(database, { clock });
    const letGo = Promise.withResolvers<void>();
    const held = Promise.withResolvers<void>();
    const holding = replica.transact(async (tx) => {
      await tx.environments.get(first.step.environmentId);
      held.resolve();
      await letGo.promise;
    });
    await held.promise;
    let isBlockedDone = false;
    const blocked = store.transact(endOf(first), brief).then((told) => {
      isBlockedDone = true;
      return told;
    });
    await Promise.all(others.map((one) => store.transact(endOf(one), brief)));
    for (const { step } of others) assert.ok(await ended(store, step.id));
    assert.equal(isBlockedDone, false);
    letGo.resolve();
    await holding;
    assert.equal(await blocked, "1 true");
    await store.close();
    await replica.close();
  });

  it("of which one claims leave alone what another one of them is at work on", async () => {
    const { store, claims } = await working(5);
    await store.transact((tx) => tx.workers.put(aWorker(clock, { id: "w" }), null));
    const claiming = store.transact(
      (tx) =>
        tx.steps.claim({ worker: "w", now: timestamp(clock), limit: 99, places: {}, labels: [] }),
      brief,
    );
    const ends = claims.map((one) => store.transact(endOf(one), brief));
    await Promise.all([claiming, ...ends]);
    const more = await claim({ store, clock }, { limit: 99 });
    const taken = [...(await claiming), ...more].map(({ step }) => step.id);
    assert.equal(new Set(taken).size, taken.length);
    assert.equal(taken.length, 5);
    await store.close();
  });
});

async function ended(store: Store, stepId: string): Promise<boolean> {
  return (await store.read((tx) => tx.steps.get(stepId)))?.status === "succeeded";
}
