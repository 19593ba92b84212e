import assert from "node:assert/strict";
import { timestamp } from "../ports/clock.ts";
import type { Claim, ClaimRequest } from "../ports/work.ts";
import type { ContractCase, OpenStore } from "./store-contract-case.ts";
import {
  aWorker,
  claim,
  ids,
  insertWork,
  stepAt,
  type NewWork,
  type Work,
} from "./store-contract-data.ts";

type Open = Pick<OpenStore, "store" | "clock">;

/** Stores work and claims in the same transaction, as where a run begins. */
async function insertAndClaim(
  { store, clock }: Open,
  of: NewWork = {},
  over: Partial<ClaimRequest> = {},
): Promise<{ readonly work: Work; readonly claims: readonly Claim[] }> {
  const now = timestamp(clock);
  const request = { worker: "wrk_own", now, limit: 100, places: {}, labels: [], ...over };
  if ((await store.read((tx) => tx.workers.get(request.worker))) === null)
    await store.transact((tx) => tx.workers.put(aWorker(clock, { id: request.worker }), null));
  let claims: readonly Claim[] = [];
  const work = await insertWork(
    { store, clock },
    {
      ...of,
      alsoDo: async (tx) => {
        claims = await tx.steps.claim(request);
        await of.alsoDo?.(tx);
      },
    },
  );
  return { work, claims };
}

async function failing(): Promise<never> {
  throw new Error("on purpose");
}

const wide = { options: { deferred: "safe", parallelism: 100 } } as const;
const narrow = { options: { deferred: "safe", parallelism: 2 } } as const;

export const ownClaimCases: readonly ContractCase[] = [
  {
    title: "are of what is ready, in order of insertion, each with its token, worker and intent",
    async run({ store, clock }) {
      const upstreams = [[], [], [0]];
      const { work, claims } = await insertAndClaim(
        { store, clock },
        { steps: [{}, {}, {}], upstreams },
      );
      assert.deepEqual(ids(claims), [stepAt(work, 0).id, stepAt(work, 1).id]);
      for (const { step, settle, runAttempt } of claims) {
        assert.deepEqual([step.status, step.token, step.worker], ["running", 1, "wrk_own"]);
        assert.deepEqual([settle, runAttempt], [false, 1]);
        assert.deepEqual(await store.read((tx) => tx.steps.get(step.id)), step);
        const [attempt] = await store.read((tx) => tx.steps.attempts(step.id));
        assert.deepEqual([attempt?.token, attempt?.worker], [1, "wrk_own"]);
      }
      assert.deepEqual(await claim({ store, clock }), []);
    },
  },
  {
    title: "take no more than is asked for, and leave the rest to others",
    async run({ store, clock }) {
      const steps = Array.from({ length: 5 }, () => ({}));
      const asked = { limit: 2 };
      const { work, claims } = await insertAndClaim({ store, clock }, { steps, run: wide }, asked);
      assert.deepEqual(ids(claims), [stepAt(work, 0).id, stepAt(work, 1).id]);
      assert.equal((await claim({ store, clock })).length, 3);
    },
  },
  {
    title: "take no more of a run than its parallelism",
    async run({ store, clock }) {
      const steps = Array.from({ length: 5 }, () => ({}));
      const { claims } = await insertAndClaim({ store, clock }, { steps, run: narrow });
      assert.equal(claims.length, 2);
      assert.deepEqual(await claim({ store, clock }), []);
    },
  },
  {
    title: "take no more of an executor than it has places",
    async run({ store, clock }) {
      const steps = ["terraform", "terraform", "command", "helm"].map((executor) => ({ executor }));
      const places = { terraform: 1, helm: 0 };
      const { work, claims } = await insertAndClaim(
        { store, clock },
        { steps, run: wide },
        { places },
      );
      const wanted = [stepAt(work, 0).id, stepAt(work, 2).id];
      assert.deepEqual(ids(claims).toSorted(), wanted.toSorted());
    },
  },
  {
    title: "leave what asks for labels to those who offer them",
    async run({ store, clock }) {
      const steps = [{ runsOn: ["gpu"] }, { runsOn: ["here"] }, {}];
      const { work, claims } = await insertAndClaim(
        { store, clock },
        { steps, run: wide },
        { labels: ["here"] },
      );
      const wanted = [stepAt(work, 1).id, stepAt(work, 2).id];
      assert.deepEqual(ids(claims).toSorted(), wanted.toSorted());
      const others = await claim({ store, clock }, { labels: ["gpu"] });
      assert.deepEqual(ids(others), [stepAt(work, 0).id]);
    },
  },
  {
    title: "go round: what has waited for longer is not passed by",
    async run({ store, clock }) {
      const before = await insertWork({ store, clock });
      const { claims } = await insertAndClaim({ store, clock }, {}, { limit: 1 });
      assert.deepEqual(ids(claims), [stepAt(before, 0).id]);
      assert.equal((await claim({ store, clock })).length, 1);
    },
  },
  {
    title: "come beside others where there is room for both, each once",
    async run({ store, clock }) {
      const before = await insertWork({ store, clock }, { steps: [{}, {}], run: wide });
      const { work, claims } = await insertAndClaim(
        { store, clock },
        { steps: [{}, {}], run: wide },
      );
      const all = [...before.steps, ...work.steps].map(({ id }) => id);
      assert.deepEqual(ids(claims).toSorted(), all.toSorted());
    },
  },
  {
    title: "give nothing to a worker that is gone",
    async run({ store, clock }) {
      await store.transact(async (tx) => {
        await tx.workers.put(aWorker(clock, { id: "wrk_gone" }), null);
        await tx.workers.setStatus("wrk_gone", "gone");
      });
      const { claims } = await insertAndClaim({ store, clock }, {}, { worker: "wrk_gone" });
      assert.deepEqual(claims, []);
      assert.equal((await claim({ store, clock })).length, 1);
    },
  },
  {
    title: "are as if they had not been when the transaction comes to nothing",
    async run({ store, clock }) {
      await assert.rejects(insertAndClaim({ store, clock }, { alsoDo: failing }), /on purpose/u);
      assert.deepEqual(await claim({ store, clock }), []);
      const { claims } = await insertAndClaim({ store, clock });
      assert.equal(claims.length, 1);
    },
  },
];
