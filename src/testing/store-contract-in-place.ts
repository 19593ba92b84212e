import assert from "node:assert/strict";
import { timestamp } from "../ports/clock.ts";
import type { Claim } from "../ports/work.ts";
import type { ContractCase, OpenStore } from "./store-contract-case.ts";
import {
  aWorker,
  claim,
  claimOne,
  fenceOf,
  ids,
  insertWork,
  stepAt,
  succeeded,
  type Work,
} from "./store-contract-data.ts";

type Open = Pick<OpenStore, "store" | "clock">;

const follows = { steps: [{}, {}], upstreams: [[], [0]] } as const;

/** Ends it where that may claim, and gives what was claimed so. */
export function endInPlace(
  { store, clock }: Open,
  ended: Claim,
  may = true,
): Promise<readonly Claim[]> {
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

/** Ends its only step that can be claimed: nothing is claimed by that, and the one that follows is ready. */
async function refuses(open: Open, work: Work, may = true): Promise<void> {
  assert.deepEqual(await endInPlace(open, await claimOne(open), may), []);
  assert.equal((await followerOf(open, work))?.status, "ready");
}

function followerOf({ store }: Open, work: Work) {
  return store.read((tx) => tx.steps.get(stepAt(work, 1).id));
}

/** Of stores that claim in place of a step that has ended. */
export const inPlaceCases: readonly ContractCase[] = [
  {
    title: "claims the step that it releases, with its intent, and leaves nothing offered",
    async run({ store, clock }) {
      const work = await insertWork({ store, clock }, follows);
      const ended = await claimOne({ store, clock });
      clock.advance(1_000);
      const claims = await endInPlace({ store, clock }, ended);
      const now = timestamp(clock);
      const claimed = { status: "running", waitingOn: 0, token: 1, worker: "wrk_1" } as const;
      const step = { ...stepAt(work, 1), ...claimed, startedAt: now };
      assert.deepEqual(claims, [{ step, settle: false, runAttempt: 1 }]);
      assert.deepEqual(await followerOf({ store, clock }, work), step);
      const attempts = await store.read((tx) => tx.steps.attempts(step.id));
      const intent = { stepId: step.id, token: 1, worker: "wrk_1", startedAt: now };
      const open = { finishedAt: null, outcome: null, failure: null, child: null, notes: [] };
      assert.deepEqual(
        attempts.map((attempt) => ({ ...attempt })),
        [{ ...intent, ...open }],
      );
      assert.deepEqual(await claim({ store, clock }), []);
    },
  },
  {
    title: "keeps the claim only with the end that it is for",
    async run({ store, clock }) {
      const work = await insertWork({ store, clock }, follows);
      const ended = await claimOne({ store, clock });
      const failing = store.transact(
        async (tx) => {
          await tx.steps.end(fenceOf(ended), { ...succeeded, now: timestamp(clock) });
          throw new Error("after its end");
        },
        { inPlace: () => true },
      );
      await assert.rejects(failing, /after its end/u);
      assert.equal((await followerOf({ store, clock }, work))?.status, "blocked");
      assert.equal((await endInPlace({ store, clock }, ended)).length, 1);
    },
  },
  {
    title: "claims nothing when it may not, or when another step could be claimed",
    async run({ store, clock }) {
      const open = { store, clock };
      const work = await insertWork(open, follows);
      await refuses(open, work, false);
      assert.deepEqual(ids(await claim(open)), [stepAt(work, 1).id]);
      const next = await insertWork(open, follows);
      const other = await claimOne(open);
      await insertWork(open);
      assert.deepEqual(await endInPlace(open, other), []);
      assert.equal((await followerOf(open, next))?.status, "ready");
    },
  },
  {
    title: "claims nothing before a step whose time has come",
    async run({ store, clock }) {
      const open = { store, clock };
      await insertWork(open);
      const again = { availableAt: timestamp(clock, 500), counts: true, reason: "", failure: null };
      const fence = fenceOf(await claimOne(open));
      await store.transact((tx) => tx.steps.retry(fence, { ...again, now: timestamp(clock) }));
      const work = await insertWork(open, follows);
      const ended = await claimOne(open);
      clock.advance(1_000);
      assert.deepEqual(await endInPlace(open, ended), []);
      assert.equal((await followerOf(open, work))?.status, "ready");
      assert.equal((await claim(open)).length, 2);
    },
  },
  {
    title: "leaves to the same transaction's claim what is inserted after the end",
    async run({ store, clock }) {
      const open = { store, clock };
      await insertWork(open, follows);
      const ended = await claimOne(open);
      const outcome = { ...succeeded, now: timestamp(clock) };
      const asked = { worker: "wrk_1", now: timestamp(clock), limit: 9, places: {}, labels: [] };
      const claims: Claim[] = [];
      const other = await insertWork(open, {
        how: { inPlace: () => true },
        before: async (tx) => {
          await tx.steps.end(fenceOf(ended), outcome);
          assert.equal(tx.steps.inPlace().length, 1);
        },
        alsoDo: async (tx) => {
          claims.splice(0, claims.length, ...(await tx.steps.claim(asked)));
        },
      });
      assert.deepEqual(ids(claims), [stepAt(other, 0).id]);
    },
  },
  {
    title: "claims nothing that counts against another place or asks for other labels",
    async run({ store, clock }) {
      const open = { store, clock };
      for (const over of [{ executor: "terraform" }, { runsOn: ["gpu"] }]) {
        const work = await insertWork(open, { ...follows, steps: [{}, over] });
        await refuses(open, work);
        await claim(open);
      }
    },
  },
  {
    title: "claims nothing beyond the run's parallelism, and nothing of a run that does not run",
    async run({ store, clock }) {
      const open = { store, clock };
      const wide = await insertWork(open, { steps: [{}, {}, {}], upstreams: [[], [0], []] });
      const [first] = await claim(open);
      assert.ok(first !== undefined);
      const options = { deferred: "safe", parallelism: 1 } as const;
      await store.transact((tx) => tx.runs.update(wide.run.id, { options }));
      assert.deepEqual(await endInPlace(open, first), []);
      assert.equal((await followerOf(open, wide))?.status, "ready");
      await store.transact((tx) =>
        tx.runs.update(wide.run.id, { options: { ...options, parallelism: 9 } }),
      );
      await claim(open);
      const waiting = await insertWork(open, follows);
      const ended = await claimOne(open);
      await store.transact((tx) => tx.runs.update(waiting.run.id, { status: "waiting" }));
      assert.deepEqual(await endInPlace(open, ended), []);
      assert.deepEqual(await claim(open), []);
    },
  },
  {
    title: "claims nothing for a worker whose lease is over or that is gone",
    async run({ store, clock, passTime }) {
      const open = { store, clock };
      await store.transact((tx) => tx.workers.put(aWorker(clock, { id: "wrk_1" }), 60_000));
      const work = await insertWork(open, follows);
      const ended = await claimOne(open);
      await passTime(61_000);
      assert.deepEqual(await endInPlace(open, ended), []);
      assert.equal((await followerOf(open, work))?.status, "ready");
      const gone = await insertWork(open, follows);
      const all = await claim(open, { worker: "wrk_2" });
      const last = all.find(({ step }) => step.id === stepAt(gone, 0).id);
      assert.ok(last !== undefined);
      await store.transact((tx) => tx.workers.setStatus("wrk_2", "gone"));
      assert.deepEqual(await endInPlace(open, last), []);
      assert.equal((await followerOf(open, gone))?.status, "ready");
    },
  },
];
