import assert from "node:assert/strict";
import { takeoverMarginMs } from "../domain/lease.ts";
import { timestamp } from "../ports/clock.ts";
import type { Store } from "../ports/store.ts";
import type { Claim } from "../ports/work.ts";
import type { ContractCase } from "./store-contract-case.ts";
import {
  aWorker,
  claim,
  claimOne,
  fenceOf,
  ids,
  insertWork,
  succeeded,
} from "./store-contract-data.ts";
import type { FakeClock } from "./fake-clock.ts";

const leaseMs = 30_000;
const child = { pid: 7, startTime: "1", bootId: "b", stopsWithinMs: 60_000 } as const;

export const workerCases: readonly ContractCase[] = [
  {
    title: "keeps a worker as it makes itself known, again when it does so again",
    async run({ store, clock }) {
      const worker = aWorker(clock);
      await store.transact((tx) => tx.workers.put(worker, null));
      const kept = { ...worker, status: "working", leaseEndsAt: null };
      assert.deepEqual(await store.read((tx) => tx.workers.get(worker.id)), kept);
      assert.deepEqual(await known(store), [{ ...kept, isLapsed: false }]);
      const labelled = { ...worker, labels: ["gpu", "zone-a"] };
      await store.transact((tx) => tx.workers.put(labelled, leaseMs));
      const [again, ...more] = await known(store);
      assert.deepEqual(again?.labels, ["gpu", "zone-a"]);
      assert.notEqual(again.leaseEndsAt, null);
      assert.deepEqual(more, []);
      assert.equal(await store.read((tx) => tx.workers.get("wrk_none")), null);
    },
  },
  {
    title: "counts a lease on the store's clock and moves its end, also after it came",
    async run({ store, clock, passTime }) {
      const worker = aWorker(clock);
      const isLapsed = async () => (await known(store))[0]?.isLapsed;
      await store.transact((tx) => tx.workers.put(worker, leaseMs));
      await passTime(leaseMs - 1_000);
      assert.equal(await isLapsed(), false);
      await passTime(1_000);
      assert.equal(await isLapsed(), true);
      assert.equal(await store.transact((tx) => tx.workers.renew(worker.id, leaseMs)), true);
      assert.equal(await isLapsed(), false);
    },
  },
  {
    title: "tells the time of that clock",
    async run({ store, passTime }) {
      const time = async () => Date.parse(await store.read((tx) => tx.time()));
      const before = await time();
      await passTime(5_000);
      assert.ok((await time()) >= before);
      const inside = Date.parse(await store.transact((tx) => tx.time()));
      assert.ok(inside >= before && Number.isFinite(inside));
    },
  },
  {
    title: "never brings back what is gone",
    async run({ store, clock }) {
      const worker = aWorker(clock);
      await store.transact((tx) => tx.workers.put(worker, leaseMs));
      for (const status of ["draining", "gone", "working"] as const)
        await store.transact((tx) => tx.workers.setStatus(worker.id, status));
      assert.equal((await store.read((tx) => tx.workers.get(worker.id)))?.status, "gone");
      for (const id of [worker.id, "wrk_none"])
        assert.equal(await store.transact((tx) => tx.workers.renew(id, leaseMs)), false);
    },
  },
  {
    title: "wakes those who watch workers when one comes or changes, not when one stays",
    async run({ store, clock }) {
      const worker = aWorker(clock);
      let woken = 0;
      const unwatch = store.watch("workers", () => {
        woken += 1;
      });
      const after = async (change: Parameters<Store["transact"]>[0]): Promise<number> => {
        await store.transact(change);
        await store.transact((tx) => tx.audits.append(anEntry));
        for (let n = 0; n < 20; n += 1) await new Promise(setImmediate);
        return woken;
      };
      assert.ok((await after((tx) => tx.workers.put(worker, leaseMs))) > 0);
      const before = woken;
      assert.equal(await after((tx) => tx.workers.renew(worker.id, leaseMs)), before);
      assert.equal(await after((tx) => tx.workers.setStatus(worker.id, "working")), before);
      assert.ok((await after((tx) => tx.workers.setStatus(worker.id, "draining"))) > before);
      unwatch();
    },
  },
  {
    title: "forgets what is gone once no running step names it",
    async run({ store, clock, passTime }) {
      const [busy, idle, silent] = [aWorker(clock), aWorker(clock), aWorker(clock)];
      await store.transact(async (tx) => {
        for (const worker of [busy, idle, silent]) await tx.workers.put(worker, leaseMs);
      });
      await insertWork({ store, clock });
      const held = await claimOne({ store, clock }, { worker: busy.id });
      await store.transact(async (tx) => {
        for (const { id } of [busy, idle]) await tx.workers.setStatus(id, "gone");
        await tx.workers.removeGone();
      });
      assert.deepEqual(
        (await known(store)).map(({ id }) => id),
        [busy.id, silent.id],
      );
      await passTime(leaseMs + 3_600_001);
      const again = { availableAt: null, counts: false, reason: "r", failure: null };
      await store.transact(async (tx) => {
        await tx.steps.retry(fenceOf(held), { ...again, now: timestamp(clock) });
        await tx.workers.removeGone();
      });
      assert.deepEqual(await known(store), []);
    },
  },
  {
    title:
      "gives no step to a worker whose lease is over by the store's clock, until it is renewed",
    async run({ store, clock, passTime }) {
      const worker = aWorker(clock);
      await store.transact((tx) => tx.workers.put(worker, leaseMs));
      await insertWork({ store, clock }, { steps: [{}, {}], upstreams: [[], [0]] });
      await insertWork({ store, clock });
      const held = await claimOne({ store, clock }, { worker: worker.id });
      await passTime(leaseMs);
      const own = { worker: worker.id };
      assert.deepEqual(await claim({ store, clock }, own), []);
      assert.deepEqual(await endAndClaim({ store, clock }, held, worker.id), []);
      const [, other] = await Promise.all([
        store.transact((tx) => tx.audits.append(anEntry), { brief: true }),
        claim({ store, clock }, own, { brief: true }),
      ]);
      assert.deepEqual(other, []);
      assert.equal((await claim({ store, clock }, { worker: "wrk_other", limit: 1 })).length, 1);
      await store.transact((tx) => tx.workers.renew(worker.id, leaseMs));
      assert.equal((await claim({ store, clock }, own)).length, 1);
    },
  },
  {
    title: "gives no step to a worker that is gone or not known",
    async run({ store, clock }) {
      const worker = aWorker(clock);
      await store.transact((tx) => tx.workers.put(worker, leaseMs));
      await insertWork({ store, clock }, { steps: [{}, {}] });
      await claimOne({ store, clock }, { worker: worker.id });
      await store.transact((tx) => tx.workers.setStatus(worker.id, "gone"));
      assert.deepEqual(await claim({ store, clock }, { worker: worker.id }), []);
      const unknown = { worker: "wrk_unknown", limit: 1, places: {}, labels: [] };
      const claiming = store.transact((tx) =>
        tx.steps.claim({ ...unknown, now: timestamp(clock) }),
      );
      assert.deepEqual(await claiming, []);
    },
  },
  {
    title: "gives what was taken from a worker to its taker, not to itself while its lease is over",
    async run({ store, clock, passTime }) {
      const [late, other] = [aWorker(clock), aWorker(clock)];
      await store.transact((tx) => tx.workers.put(late, leaseMs));
      await insertWork({ store, clock });
      await claimOne({ store, clock }, { worker: late.id });
      await passTime(leaseMs + takeoverMarginMs);
      await store.transact((tx) => tx.workers.put(other, leaseMs));
      assert.equal((await abandon({ store, clock }, other.id)).length, 1);
      assert.deepEqual(await claim({ store, clock }, { worker: late.id }), []);
      const taken = await claimOne({ store, clock }, { worker: other.id });
      assert.deepEqual([taken.step.token, taken.settle], [2, true]);
    },
  },
  {
    title: "takes steps of those who are gone, and of nobody else",
    async run({ store, clock }) {
      const [own, held, alone, gone] = [1, 2, 3, 4].map(() => aWorker(clock));
      assert.ok(own && held && alone && gone);
      await store.transact(async (tx) => {
        for (const worker of [own, held, gone]) await tx.workers.put(worker, leaseMs);
        await tx.workers.put(alone, null);
        await tx.workers.setStatus(own.id, "draining");
        await tx.workers.setStatus(held.id, "draining");
      });
      await insertWork({ store, clock }, { steps: [{}, {}, {}, {}] });
      const of = new Map<string, string>();
      for (const worker of [own.id, held.id, alone.id, gone.id])
        of.set((await claimOne({ store, clock }, { worker })).step.id, worker);
      await store.transact((tx) => tx.workers.setStatus(gone.id, "gone"));
      const taken = await abandon({ store, clock }, own.id);
      assert.deepEqual(
        taken.map((id) => of.get(id)),
        [gone.id],
      );
      assert.deepEqual(await abandon({ store, clock }, own.id), []);
    },
  },
  {
    title: "takes a step when its owner's lease ended so long ago that its child must be dead",
    async run({ store, clock, passTime }) {
      const worker = aWorker(clock);
      await store.transact((tx) => tx.workers.put(worker, leaseMs));
      await insertWork({ store, clock }, { steps: [{}, {}] });
      const [bare, parent] = await claim({ store, clock }, { worker: worker.id });
      assert.ok(bare && parent);
      await store.transact((tx) => tx.steps.setChild(fenceOf(parent), child));
      const owned = await store.read((tx) => tx.steps.ownedBy(worker.id));
      assert.deepEqual(owned, [
        { stepId: bare.step.id, token: 1, child: null },
        { stepId: parent.step.id, token: 1, child },
      ]);
      const take = () => abandon({ store, clock }, "wrk_other");
      await passTime(leaseMs + takeoverMarginMs - 1_000);
      assert.deepEqual(await take(), []);
      await passTime(1_000);
      assert.deepEqual(await take(), [bare.step.id]);
      await passTime(child.stopsWithinMs - 1_000);
      assert.deepEqual(await take(), []);
      await passTime(1_000);
      assert.deepEqual(await take(), [parent.step.id]);
    },
  },
  {
    title: "takes no step of an owner that renewed its lease after it had ended",
    async run({ store, clock, passTime }) {
      const worker = aWorker(clock);
      await store.transact((tx) => tx.workers.put(worker, leaseMs));
      await insertWork({ store, clock });
      const held = await claimOne({ store, clock }, { worker: worker.id });
      await passTime(10 * leaseMs);
      assert.equal(await store.transact((tx) => tx.workers.renew(worker.id, leaseMs)), true);
      assert.deepEqual(await abandon({ store, clock }, "wrk_other"), []);
      await store.transact((tx) => tx.steps.fence(fenceOf(held)));
    },
  },
  {
    title: "takes what was proven dead at once, but not a later claim of the same step",
    async run({ store, clock }) {
      const worker = aWorker(clock);
      await store.transact((tx) => tx.workers.put(worker, leaseMs));
      await insertWork({ store, clock }, { steps: [{}, {}] });
      const claims = await claim({ store, clock }, { worker: worker.id });
      const [first, second] = await store.read((tx) => tx.steps.ownedBy(worker.id));
      assert.ok(first && second);
      const dead = [first, { ...second, token: 0 }];
      const taken = await store.transact((tx) =>
        tx.steps.abandon({ worker: "wrk_other", now: timestamp(clock), dead }),
      );
      assert.deepEqual([taken.map(({ id }) => id), ids(claims)[0]], [[first.stepId], first.stepId]);
      const [attempt] = await store.read((tx) => tx.steps.attempts(first.stepId));
      assert.equal(attempt?.outcome, "unknown");
    },
  },
  {
    title: "gives a lease that holds until it is released, and then lets others take the steps",
    async run({ store, clock }) {
      const worker = aWorker(clock);
      const lease = await store.lease(worker);
      await insertWork({ store, clock });
      const held = await claimOne({ store, clock }, { worker: worker.id });
      assert.deepEqual([lease.holds(), lease.isLost(), lease.lapses()], [true, false, 0]);
      assert.ok(lease.remainingMs() > 0);
      assert.deepEqual(await abandon({ store, clock }, "wrk_other"), []);
      await lease.release({ gone: true });
      await lease.release({ gone: true });
      assert.deepEqual([lease.holds(), lease.remainingMs()], [false, 0]);
      assert.deepEqual(await abandon({ store, clock }, "wrk_other"), [held.step.id]);
    },
  },
  {
    title: "says nothing of a worker whose lease is let run out",
    async run({ store, clock }) {
      const worker = aWorker(clock);
      const lease = await store.lease(worker);
      await lease.release({ gone: false });
      assert.equal(lease.holds(), false);
      assert.equal((await store.read((tx) => tx.workers.get(worker.id)))?.status, "working");
    },
  },
];

const anEntry = {
  id: "aud_1",
  time: "",
  actor: "",
  action: "",
  subject: "",
  commandId: null,
  detail: null,
};

function known(store: Store) {
  return store.read((tx) => tx.workers.list());
}

async function abandon(
  { store, clock }: { readonly store: Store; readonly clock: FakeClock },
  worker: string,
): Promise<readonly string[]> {
  const request = { worker, now: timestamp(clock) };
  return (await store.transact((tx) => tx.steps.abandon(request))).map(({ id }) => id);
}

/** In one transaction, as a worker does at the end of a step. */
function endAndClaim(
  { store, clock }: { readonly store: Store; readonly clock: FakeClock },
  held: Claim,
  worker: string,
): Promise<readonly Claim[]> {
  const now = timestamp(clock);
  return store.transact(async (tx) => {
    await tx.steps.end(fenceOf(held), { ...succeeded, now });
    return tx.steps.claim({ worker, now, limit: 100, places: {}, labels: [] });
  });
}
