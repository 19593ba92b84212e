import assert from "node:assert/strict";
import { timestamp } from "../ports/clock.ts";
import type { ContractCase } from "./store-contract-case.ts";
import {
  aWorker,
  claim,
  claimOne,
  end,
  fenceOf,
  ids,
  insertWork,
  stepAt,
  succeeded,
  takeFrom,
} from "./store-contract-data.ts";

export const claimCases: readonly ContractCase[] = [
  {
    title:
      "finds what attempts were lent that are over, and not what one that is worked on was lent",
    async run({ store, clock }) {
      await insertWork({ store, clock });
      const fence = fenceOf(await claimOne({ store, clock }));
      const { environmentId, stepId, token } = fence;
      const loan = { environmentId, stepId, token, madeAt: timestamp(clock) };
      const held = { ...loan, id: "database/creds/shop/held" };
      const before = { ...loan, id: "database/creds/shop/before", token: token - 1 };
      await store.transact(async (tx) => {
        await tx.steps.fence(fence);
        for (const one of [held, before]) await tx.loans.put(one);
      });
      const left = () => store.read((tx) => tx.loans.left(5));
      assert.deepEqual(await left(), [before]);
      await store.transact((tx) => tx.loans.remove([before.id, "unknown"]));
      assert.deepEqual(await left(), []);
      await store.transact((tx) => tx.steps.end(fence, { ...succeeded, now: timestamp(clock) }));
      assert.deepEqual(await left(), [held]);
    },
  },
  {
    title: "claims in order of insertion, raises the token and stores worker and intent",
    async run({ store, clock }) {
      const work = await insertWork({ store, clock }, { steps: [{}, {}, {}] });
      clock.advance(1_000);
      const claims = await claim({ store, clock }, { limit: 2, worker: "wrk_7" });
      assert.deepEqual(ids(claims), [stepAt(work, 0).id, stepAt(work, 1).id]);
      const running = { status: "running", token: 1, worker: "wrk_7", startedAt: timestamp(clock) };
      const expected = { ...stepAt(work, 0), ...running };
      assert.deepEqual(claims[0], { step: expected, settle: false, runAttempt: 1 });
      assert.deepEqual(await store.read((tx) => tx.steps.get(expected.id)), expected);
      const [attempt] = await store.read((tx) => tx.steps.attempts(expected.id));
      assert.deepEqual(
        [attempt?.token, attempt?.worker, attempt?.outcome, attempt?.finishedAt],
        [1, "wrk_7", null, null],
      );
    },
  },
  {
    title: "gives a step to one of many that claim at once",
    async run({ store, clock }) {
      await insertWork(
        { store, clock },
        { steps: Array.from({ length: 30 }, () => ({})), run: parallelism(100) },
      );
      const rounds = await Promise.all(
        Array.from({ length: 10 }, (_none, index) =>
          claim({ store, clock }, { worker: `wrk_${index}`, limit: 5 }),
        ),
      );
      const claimed = rounds.flatMap((round) => ids(round));
      assert.equal(claimed.length, 30);
      assert.equal(new Set(claimed).size, 30);
    },
  },
  {
    title: "keeps a claim that is rolled back claimable",
    async run({ store, clock }) {
      const work = await insertWork({ store, clock });
      await store.transact((tx) => tx.workers.put(aWorker(clock, { id: "wrk_1" }), null));
      const request = { worker: "wrk_1", now: timestamp(clock), limit: 1, places: {}, labels: [] };
      const failing = store.transact(async (tx) => {
        assert.equal((await tx.steps.claim(request)).length, 1);
        throw new Error("on purpose");
      });
      await assert.rejects(failing, /on purpose/u);
      assert.equal((await claimOne({ store, clock })).step.token, 1);
      assert.equal((await store.read((tx) => tx.steps.attempts(stepAt(work, 0).id))).length, 1);
    },
  },
  {
    title: "takes no more of a run than its parallelism, counting what runs",
    async run({ store, clock }) {
      await insertWork({ store, clock }, { steps: [{}, {}, {}, {}], run: parallelism(2) });
      const [first] = await claim({ store, clock });
      assert.ok(first);
      assert.deepEqual(await claim({ store, clock }), []);
      await end({ store, clock }, first);
      assert.equal((await claim({ store, clock })).length, 1);
      assert.equal((await claim({ store, clock })).length, 0);
    },
  },
  {
    title: "takes no more of an executor than it has places; those not named are unlimited",
    async run({ store, clock }) {
      await insertWork(
        { store, clock },
        {
          steps: [
            { executor: "terraform" },
            { executor: "terraform" },
            { executor: "command" },
            { executor: "terraform" },
            { executor: "command" },
            { phase: "check", executor: "check" },
            { phase: "check", executor: null },
            { phase: "barrier", executor: null },
          ],
          run: parallelism(100),
        },
      );
      const places = { terraform: 2, check: 1, other: 0 };
      const claims = await claim({ store, clock }, { places });
      const by = claims.map(({ step }) =>
        step.phase === "check" ? "check" : (step.executor ?? "none"),
      );
      assert.deepEqual(by.toSorted(), [
        "check",
        "command",
        "command",
        "none",
        "terraform",
        "terraform",
      ]);
      const none = await claim({ store, clock }, { places: { terraform: 0, check: 0 } });
      assert.deepEqual(none, []);
      assert.equal((await claim({ store, clock })).length, 2);
    },
  },
  {
    title: "takes nothing of a run that is not running, and all of it once it is",
    async run({ store, clock }) {
      const { run } = await insertWork(
        { store, clock },
        { steps: [{}, {}], run: { status: "queued" } },
      );
      assert.deepEqual(await claim({ store, clock }), []);
      for (const status of ["waiting", "failed", "cancelled"] as const) {
        await store.transact((tx) => tx.runs.update(run.id, { status: "running" }));
        await store.transact((tx) => tx.runs.update(run.id, { status }));
        assert.deepEqual(await claim({ store, clock }), []);
      }
      await store.transact((tx) => tx.runs.update(run.id, { status: "running" }));
      assert.equal((await claim({ store, clock })).length, 2);
    },
  },
  {
    title: "takes a step with a time when the time has come, and knows the next such time",
    async run({ store, clock }) {
      const { run } = await insertWork(
        { store, clock },
        { steps: [{ availableAt: timestamp(clock, 2_000) }, {}] },
      );
      const nextDue = () => store.read((tx) => tx.steps.nextDue(timestamp(clock)));
      const first = await claimOne({ store, clock });
      assert.equal(await nextDue(), timestamp(clock, 2_000));
      const again = { availableAt: timestamp(clock, 1_000), counts: true, reason: "r" };
      await store.transact((tx) =>
        tx.steps.retry(fenceOf(first), { ...again, failure: null, now: timestamp(clock) }),
      );
      assert.equal(await nextDue(), timestamp(clock, 1_000));
      clock.advance(999);
      assert.deepEqual(await claim({ store, clock }), []);
      clock.advance(1);
      assert.deepEqual(ids(await claim({ store, clock })), [first.step.id]);
      assert.equal(await nextDue(), timestamp(clock, 1_000));
      await store.transact((tx) => tx.runs.update(run.id, { status: "waiting" }));
      assert.equal(await nextDue(), null);
      clock.advance(5_000);
      assert.deepEqual(await claim({ store, clock }), []);
      await store.transact((tx) => tx.runs.update(run.id, { status: "running" }));
      assert.equal((await claim({ store, clock })).length, 1);
    },
  },
  {
    title: "goes round between runs, so that none waits for another to end",
    async run({ store, clock }) {
      const many = Array.from({ length: 20 }, () => ({}));
      const all = [
        await insertWork({ store, clock }, { steps: many, run: parallelism(100) }),
        await insertWork({ store, clock }, { steps: many, run: parallelism(100) }),
        await insertWork({ store, clock }, { steps: many, run: parallelism(100) }),
      ];
      const order: string[] = [];
      for (let n = 0; n < 30; n += 1) order.push((await claimOne({ store, clock })).step.runId);
      for (const { run } of all) {
        const places = order.flatMap((runId, index) => (runId === run.id ? [index] : []));
        assert.equal(places.length, 10);
        const gaps = places.map((place, index) => place - (places[index - 1] ?? -1));
        assert.ok(Math.max(...gaps) <= 4, `a run waited for ${Math.max(...gaps)} others`);
      }
      assert.equal(order[0], all[0]?.run.id);
    },
  },
  {
    title: "shares one call's places between runs and between executors",
    async run({ store, clock }) {
      for (const executor of ["a", "a", "b"]) {
        await insertWork(
          { store, clock },
          { steps: Array.from({ length: 10 }, () => ({ executor })), run: parallelism(100) },
        );
      }
      const claims = await claim({ store, clock }, { limit: 8 });
      const runs = new Map<string, number>();
      for (const { step } of claims) runs.set(step.runId, (runs.get(step.runId) ?? 0) + 1);
      assert.deepEqual(
        [...runs.values()].toSorted((a, b) => a - b),
        [2, 2, 4],
      );
    },
  },
  {
    title: "takes steps of unknown outcome first, to be looked at, with a new token",
    async run({ store, clock }) {
      const work = await insertWork({ store, clock }, { steps: [{}, {}, {}] });
      const lost = await claimOne({ store, clock }, { worker: "wrk_dead" });
      const own = await claimOne({ store, clock }, { worker: "wrk_new" });
      clock.advance(50);
      const abandoned = await takeFrom({ store, clock }, { gone: "wrk_dead", taker: "wrk_new" });
      assert.deepEqual(
        abandoned.map(({ id, status }) => [id, status]),
        [[lost.step.id, "unknown"]],
      );
      const [attempt] = await store.read((tx) => tx.steps.attempts(lost.step.id));
      assert.equal(attempt?.outcome, "unknown");
      const claims = await claim({ store, clock }, { worker: "wrk_new" });
      assert.deepEqual(
        claims.map(({ step, settle }) => [step.id, settle, step.token]),
        [
          [lost.step.id, true, 2],
          [stepAt(work, 2).id, false, 1],
        ],
      );
      assert.equal((await store.read((tx) => tx.steps.get(own.step.id)))?.status, "running");
    },
  },
  {
    title: "leaves steps to those who offer all the labels that they ask for",
    async run({ store, clock }) {
      const work = await insertWork(
        { store, clock },
        {
          steps: [{ runsOn: ["gpu"] }, {}, { runsOn: ["eu", "gpu"] }, { runsOn: ["eu"] }],
          run: parallelism(100),
        },
      );
      const at = (...indexes: number[]) => indexes.map((index) => stepAt(work, index).id);
      const take = async (...labels: string[]) => ids(await claim({ store, clock }, { labels }));
      assert.deepEqual(await take(), at(1));
      assert.deepEqual(await take("us"), []);
      assert.deepEqual(await take("gpu"), at(0));
      assert.deepEqual((await take("gpu", "us", "eu")).toSorted(), at(2, 3).toSorted());
    },
  },
  {
    title: "takes past any number of steps that ask for labels, counting places over all labels",
    async run({ store, clock }) {
      const many = Array.from({ length: 120 }, () => ({ runsOn: ["gpu"] }));
      await insertWork({ store, clock }, { steps: many, run: parallelism(200) });
      const plain = await insertWork({ store, clock }, { steps: [{}, {}], run: parallelism(200) });
      const own = plain.steps.map(({ id }) => id);
      assert.deepEqual(ids(await claim({ store, clock })), own);
      const eu = { executor: "command", runsOn: ["eu"] };
      await insertWork({ store, clock }, { steps: [eu, eu, eu], run: parallelism(200) });
      const claims = await claim(
        { store, clock },
        { labels: ["eu", "gpu"], places: { command: 4 } },
      );
      const asked = claims.map(({ step }) => step.runsOn.join());
      assert.deepEqual(asked.toSorted(), ["eu", "eu", "gpu", "gpu"]);
    },
  },
  {
    title: "tells what may be claimed asks for, and which runs ask for it",
    async run({ store, clock }) {
      const asked = () => store.read((tx) => tx.steps.asked());
      const asking = (...runsOn: string[]) => store.read((tx) => tx.steps.runsAsking(runsOn, 10));
      assert.deepEqual(await asked(), []);
      const steps = [
        { runsOn: ["gpu"] },
        { runsOn: ["gpu"], executor: "terraform" },
        { runsOn: ["gpu", "us"] },
        {},
        { runsOn: ["later"], availableAt: timestamp(clock, 5_000) },
      ];
      const one = await insertWork({ store, clock }, { steps });
      const two = await insertWork({ store, clock }, { steps: [{ runsOn: ["gpu"] }] });
      await insertWork({ store, clock }, { steps: [{ runsOn: ["q"] }], run: { status: "queued" } });
      const lists = (await asked()).map((labels) => labels.join());
      assert.deepEqual(lists.toSorted(), ["", "gpu", "gpu,us"]);
      assert.deepEqual(await asking("gpu"), [one.run.id, two.run.id].toSorted());
      assert.deepEqual(await asking("gpu", "us"), [one.run.id]);
      assert.deepEqual(await asking("us"), []);
      await claim({ store, clock }, { labels: ["gpu"] });
      assert.deepEqual(await asking("gpu"), []);
      assert.deepEqual(await asked(), [["gpu", "us"]]);
      assert.equal((await store.read((tx) => tx.steps.runsAsking(["gpu", "us"], 0))).length, 0);
    },
  },
  {
    title: "keeps a step of unknown outcome for those who offer its labels",
    async run({ store, clock }) {
      const work = await insertWork({ store, clock }, { steps: [{ runsOn: ["gpu"] }] });
      await claimOne({ store, clock }, { worker: "wrk_dead", labels: ["gpu"] });
      await takeFrom({ store, clock }, { gone: "wrk_dead", taker: "wrk_new" });
      assert.deepEqual(await claim({ store, clock }, { worker: "wrk_new" }), []);
      const [again] = await claim({ store, clock }, { worker: "wrk_new", labels: ["gpu"] });
      assert.deepEqual([again?.step.id, again?.settle], [stepAt(work, 0).id, true]);
    },
  },
  {
    title: "claims nothing for a limit of nothing",
    async run({ store, clock }) {
      await insertWork({ store, clock });
      assert.deepEqual(await claim({ store, clock }, { limit: 0 }), []);
    },
  },
];

function parallelism(steps: number) {
  return { options: { deferred: "safe", parallelism: steps } } as const;
}
