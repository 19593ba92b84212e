import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { timestamp } from "../../../src/ports/clock.ts";
import type { Store } from "../../../src/ports/store.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import {
  anEvent,
  claim,
  fenceOf,
  insertWork,
  journalOf,
  succeeded,
  withCode,
} from "../../../src/testing/store-contract-data.ts";
import { FailingWrites } from "../../support/failing-writes.ts";
import { StoreServer } from "../../support/postgres-store.ts";
import { postgresSkip } from "../../support/postgres.ts";

describe("a transaction that others are in the way of", { skip: postgresSkip }, () => {
  let stores: StoreServer;
  before(async () => {
    stores = await StoreServer.start(new FakeClock());
  });
  after(() => stores.server.remove());

  for (const code of ["40001", "40P01"]) {
    it(`runs again after ${code} at any of its writes, and comes to the same`, async () => {
      const clock = new FakeClock();
      const database = await stores.database();
      const failing = await FailingWrites.install(stores.server, database);
      const store = await stores.open(database, { clock });
      try {
        let fired = 0;
        for (let n = 1; ; n += 1) {
          await failing.at(n, code);
          await life(store, clock);
          const writes = await failing.count();
          if (writes < n) break;
          fired += 1;
        }
        assert.ok(fired > 20, `${fired} writes failed`);
      } finally {
        await store.close();
      }
    });
  }

  it("gives up after a bounded number of tries, in words for its caller", async () => {
    const clock = new FakeClock();
    const database = await stores.database();
    await stores.server.query(
      `create function "never"() returns trigger language plpgsql as $$
         begin raise exception 'on purpose' using errcode = '40001'; end $$;
       create trigger "never" before insert on "audit" execute function "never"();`,
      database,
    );
    const store = await stores.open(database, { clock });
    let times = 0;
    const entry = { id: "a", time: "", actor: "", action: "", subject: "", detail: null };
    const work = store.transact(async (tx) => {
      times += 1;
      await tx.audits.append({ ...entry, commandId: null });
    });
    await assert.rejects(work, withCode("unavailable"));
    assert.ok(times > 3 && times < 100, `${times}`);
    await store.close();
  });
});

/** Work is stored, claimed, told of and ended; what is there afterwards is checked whole. */
async function life(store: Store, clock: FakeClock): Promise<void> {
  const { environment, run, steps } = await insertWork(
    { store, clock },
    { steps: [{}, {}], upstreams: [[], [0]] },
  );
  for (const expected of steps) {
    const [next, ...more] = await claim({ store, clock });
    assert.ok(next);
    assert.deepEqual([next.step.id, more.length], [expected.id, 0]);
    await store.transact(async (tx) => {
      await tx.steps.end(fenceOf(next), { ...succeeded, now: timestamp(clock) });
      await tx.runs.addProgress(run.id, { done: 1 });
      await tx.events.append([anEvent(environment.id), anEvent(null)], timestamp(clock));
    });
    assert.equal((await store.read((tx) => tx.steps.attempts(next.step.id))).length, 1);
  }
  await store.transact((tx) => tx.runs.update(run.id, { status: "succeeded" }));
  const told = await journalOf(store, 2, { environmentId: environment.id });
  assert.deepEqual(
    told.map(({ sequence }) => sequence),
    [1, 2],
  );
  assert.equal((await store.read((tx) => tx.runs.get(run.id)))?.progress.done, 2);
}
