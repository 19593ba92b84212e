import assert from "node:assert/strict";
import type { Failure } from "../domain/errors.ts";
import type { Step } from "../domain/step.ts";
import { timestamp } from "../ports/clock.ts";
import type { Store } from "../ports/store.ts";
import type { Fence } from "../ports/work.ts";
import type { ContractCase } from "./store-contract-case.ts";
import {
  allPages,
  aStep,
  claim,
  claimOne,
  end,
  fenceOf,
  ids,
  insertWork,
  stepAt,
  succeeded,
  turns,
} from "./store-contract-data.ts";

const failed = {
  status: "failed",
  reason: "it failed",
  failure: { code: "step-failed", message: "exit 1" },
  changes: [],
} as const;

export const stepCases: readonly ContractCase[] = [
  {
    title: "keeps every member of a step, in order of insertion, with the edges",
    async run({ store, clock }) {
      const work = await insertWork(
        { store, clock },
        {
          steps: [
            {
              changes: [{ address: "a", action: "create", after: { x: 1 } }],
              input: { key: "k" },
              runsOn: ["eu", "gpu"],
            },
            { mark: "deferred", group: null, executor: null, phase: "barrier" },
            { phase: "check", status: "blocked" },
          ],
          upstreams: [[], [0, 0], []],
        },
      );
      // An upstream that is named twice is waited for once.
      const expected = [work.steps[0], { ...work.steps[1], waitingOn: 1 }, work.steps[2]];
      const listed = await allPages((page) => store.read((tx) => tx.steps.list(work.run.id, page)));
      assert.deepEqual(listed, expected);
      const first = stepAt(work, 0);
      assert.deepEqual(await store.read((tx) => tx.steps.byKey(work.run.id, first.key)), first);
      assert.equal(await store.read((tx) => tx.steps.byKey(work.run.id, "none")), null);
      assert.deepEqual(await store.read((tx) => tx.steps.edges(work.run.id)), [
        [first.id, stepAt(work, 1).id],
      ]);
      await store.transact((tx) => tx.steps.setInput(first.id, { target: "http://x" }));
      const after = await store.read((tx) => tx.steps.get(first.id));
      assert.deepEqual(after, { ...first, input: { target: "http://x" } });
    },
  },
  {
    title: "inserts 10,000 steps while the event loop goes on",
    async run({ store, clock }) {
      const { run } = await insertWork({ store, clock }, { steps: [] });
      const steps = Array.from({ length: 10_000 }, (_none, index) =>
        aStep(clock, run, { status: index === 0 ? "ready" : "blocked", waitingOn: index && 1 }),
      );
      let turned = 0;
      const timer = setInterval(() => {
        turned += 1;
      }, 1);
      await store.transact((tx) =>
        tx.steps.insert(
          steps,
          steps.map((_step, index) => (index === 0 ? [] : [index - 1])),
        ),
      );
      clearInterval(timer);
      assert.ok(turned > 20, `the event loop turned ${turned} times`);
      const counts = await store.read((tx) => tx.steps.counts(run.id));
      assert.deepEqual([counts.ready, counts.blocked], [1, 9_999]);
    },
  },
  {
    title: "releases a step when the last of those it waits for has ended well",
    async run({ store, clock }) {
      const work = await insertWork(
        { store, clock },
        { steps: [{}, {}, {}, {}], upstreams: [[], [], [0, 1], [2]] },
      );
      const [first, second] = await claim({ store, clock });
      assert.ok(first && second);
      await end({ store, clock }, first);
      assert.deepEqual(await claim({ store, clock }), []);
      const skipped = { ...succeeded, status: "skipped", now: timestamp(clock) } as const;
      await store.transact((tx) => tx.steps.end(fenceOf(second), skipped));
      const third = await claimOne({ store, clock });
      assert.equal(third.step.id, stepAt(work, 2).id);
      await store.transact((tx) =>
        tx.steps.end(fenceOf(third), { ...failed, now: timestamp(clock) }),
      );
      assert.deepEqual(await claim({ store, clock }), []);
      const counts = await store.read((tx) => tx.steps.counts(work.run.id));
      assert.deepEqual(
        [counts.succeeded, counts.skipped, counts.failed, counts.blocked],
        [1, 1, 1, 1],
      );
      const ended = await store.read((tx) => tx.steps.get(third.step.id));
      assert.deepEqual(ended?.failure, failed.failure);
      assert.equal(ended.finishedAt, timestamp(clock));
    },
  },
  {
    title: "does not wait for upstreams that are inserted as done",
    async run({ store, clock }) {
      const work = await insertWork(
        { store, clock },
        { steps: [{ status: "skipped" }, {}, {}], upstreams: [[], [0], [0, 1]] },
      );
      assert.deepEqual(ids(await claim({ store, clock })), [stepAt(work, 1).id]);
    },
  },
  {
    title: "wakes the watchers of steps when one becomes ready",
    async run({ store, clock }) {
      await insertWork({ store, clock }, { steps: [{}, {}], upstreams: [[], [0]] });
      const claimed = await claimOne({ store, clock });
      await turns();
      let woken = 0;
      store.watch("steps", () => {
        woken += 1;
      });
      await end({ store, clock }, claimed);
      await turns();
      assert.equal(woken, 1);
    },
  },
  {
    title: "stores intent and outcome of every attempt, with its child and notes",
    async run({ store, clock }) {
      const work = await insertWork({ store, clock });
      const first = await claimOne({ store, clock });
      const child = { pid: 7, startTime: "123", bootId: "b", stopsWithinMs: 10 };
      await store.transact(async (tx) => {
        await tx.steps.setChild(fenceOf(first), child);
        await tx.steps.addNotes(fenceOf(first), [{ started: "a" }]);
        await tx.steps.addNotes(fenceOf(first), [{ completed: "a" }, "b"]);
      });
      const failure = { code: "step-interrupted", message: "m" } as const;
      const again = { availableAt: null, counts: true, reason: "again", failure };
      const now = timestamp(clock);
      await store.transact((tx) => tx.steps.retry(fenceOf(first), { ...again, now }));
      const between = await store.read((tx) => tx.steps.get(stepAt(work, 0).id));
      assert.deepEqual(
        [between?.status, between?.attempts, between?.worker, between?.failure],
        ["ready", 1, null, failure],
      );
      const second = await claimOne({ store, clock }, { worker: "wrk_2" });
      await store.transact((tx) =>
        tx.steps.retry(fenceOf(second), { ...again, counts: false, failure: null, now }),
      );
      const third = await claimOne({ store, clock });
      assert.equal(third.step.attempts, 1);
      await end({ store, clock }, third);
      const common = { stepId: third.step.id, startedAt: now, finishedAt: now };
      const notes = [{ started: "a" }, { completed: "a" }, "b"];
      const none = { child: null, notes: [], failure: null };
      assert.deepEqual(await store.read((tx) => tx.steps.attempts(third.step.id)), [
        { ...common, token: 1, worker: "wrk_1", outcome: "retrying", failure, child, notes },
        { ...common, ...none, token: 2, worker: "wrk_2", outcome: "interrupted" },
        { ...common, ...none, token: 3, worker: "wrk_1", outcome: "succeeded" },
      ]);
    },
  },
  {
    title:
      "keeps an outcome unknown that could not be looked at, so that the next claim looks again",
    async run({ store, clock }) {
      const work = await insertWork({ store, clock });
      const first = await claimOne({ store, clock });
      const now = timestamp(clock);
      const again = { availableAt: null, counts: false, unknown: true, reason: "r", failure: null };
      await store.transact((tx) => tx.steps.retry(fenceOf(first), { ...again, now }));
      const id = stepAt(work, 0).id;
      const [step, attempts] = await store.read(async (tx) => [
        await tx.steps.get(id),
        await tx.steps.attempts(id),
      ]);
      assert.deepEqual([step?.status, attempts.at(-1)?.outcome], ["unknown", "unknown"]);
      const second = await claimOne({ store, clock });
      assert.deepEqual([second.step.id, second.settle], [id, true]);
    },
  },
  {
    title: "knows cheaply whether a run has open, waiting or troubled steps",
    async run({ store, clock }) {
      const work = await insertWork({ store, clock }, { steps: [{}, {}] });
      const known = (): Promise<readonly boolean[]> =>
        store.read(async (tx) => [
          await tx.steps.anyOpen(work.run.id),
          await tx.steps.anyWaiting(work.run.id),
        ]);
      assert.deepEqual(await known(), [true, false]);
      const [first, second] = await claim({ store, clock });
      assert.ok(first && second);
      assert.deepEqual(await known(), [true, false]);
      const parked = {
        reason: "is it there?",
        failure: { code: "outcome-unknown", message: "m" },
        now: timestamp(clock),
      } as const;
      await store.transact(async (tx) => {
        await tx.steps.end(fenceOf(first), { ...failed, now: timestamp(clock) });
        await tx.steps.park(fenceOf(second), parked);
      });
      assert.deepEqual(await known(), [false, true]);
      const troubled = await store.read((tx) => tx.steps.troubled(work.run.id, 5));
      assert.deepEqual(
        troubled.map(({ id }) => id),
        [second.step.id, first.step.id],
      );
      assert.equal((await store.read((tx) => tx.steps.troubled(work.run.id, 1))).length, 1);
      assert.deepEqual(await claim({ store, clock }), []);
    },
  },
  {
    title: "finds the steps of some runs that failed and are put off, the next to be tried first",
    async run({ store, clock }) {
      const [one, other] = [
        await insertWork({ store, clock }, { steps: [{}, {}, {}] }),
        await insertWork({ store, clock }, { steps: [{}] }),
      ];
      const away = { code: "unavailable", message: "it is away" } as const;
      const again = { counts: false, reason: "it is tried again", now: timestamp(clock) };
      const claims = await claim({ store, clock });
      const claimed = (id: string): Fence => {
        const found = claims.find(({ step }) => step.id === id);
        assert.ok(found);
        return fenceOf(found);
      };
      const put = async (id: string, failure: Failure | null, availableAt: string | null) =>
        store.transact((tx) =>
          tx.steps.retry(claimed(id), { ...again, failure, availableAt, unknown: false }),
        );
      const [later, sooner, looked] = [0, 1, 2].map((at) => stepAt(one, at).id);
      assert.ok(later !== undefined && sooner !== undefined && looked !== undefined);
      await put(later, away, timestamp(clock, 9_000));
      await put(sooner, away, timestamp(clock, 5_000));
      // A check that is looked at again later has not failed; what may be claimed now is not put off.
      await put(looked, null, timestamp(clock, 1_000));
      await put(stepAt(other, 0).id, away, null);
      const found = async (runs: readonly string[], limit = 5) =>
        store.read(async (tx) => (await tx.steps.putOff(runs, limit)).map(({ id }) => id));
      assert.deepEqual(await found([one.run.id, other.run.id]), [sooner, later]);
      assert.deepEqual(await found([one.run.id], 1), [sooner]);
      assert.deepEqual(await found([other.run.id]), []);
      assert.deepEqual(await found([]), []);
    },
  },
  {
    title: "moves steps from some statuses to another, by key where asked, but never running ones",
    async run({ store, clock }) {
      const work = await insertWork(
        { store, clock },
        { steps: [{}, {}, {}, {}], upstreams: [[], [], [0], [0]] },
      );
      await claimOne({ store, clock });
      const to = { to: "cancelled", reason: "why", now: timestamp(clock) } as const;
      const keys = [stepAt(work, 2).key, stepAt(work, 0).key];
      const some = await store.transact((tx) =>
        tx.steps.moveAll(work.run.id, { ...to, from: ["blocked", "running"], keys }),
      );
      assert.deepEqual(statuses(some), [[stepAt(work, 2).id, "cancelled"]]);
      assert.deepEqual([some[0]?.reason, some[0]?.finishedAt], ["why", timestamp(clock)]);
      const rest = await store.transact((tx) =>
        tx.steps.moveAll(work.run.id, { ...to, from: ["ready", "blocked", "running"] }),
      );
      assert.deepEqual(
        rest.map(({ id }) => id),
        [stepAt(work, 1).id, stepAt(work, 3).id],
      );
      assert.deepEqual(await claim({ store, clock }), []);
      const back = {
        from: ["cancelled"],
        to: "ready",
        reason: "r",
        now: timestamp(clock),
      } as const;
      await store.transact((tx) =>
        tx.steps.moveAll(work.run.id, { ...back, keys: [stepAt(work, 1).key] }),
      );
      assert.deepEqual(ids(await claim({ store, clock })), [stepAt(work, 1).id]);
    },
  },
  {
    title: "reopens what failed, was cancelled or waits, and leaves what is done",
    async run({ store, clock }) {
      const work = await insertWork(
        { store, clock },
        { steps: [{}, {}, {}, {}], upstreams: [[], [], [1], []] },
      );
      const [first, second, third] = await claim({ store, clock });
      assert.ok(first && second && third);
      const now = timestamp(clock);
      const cancel = { from: ["blocked"], to: "cancelled", reason: "why", now } as const;
      const wait = { reason: "w", failure: { code: "outcome-unknown", message: "" }, now } as const;
      await store.transact(async (tx) => {
        await tx.steps.end(fenceOf(first), { ...succeeded, now });
        await tx.steps.end(fenceOf(second), { ...failed, now });
        await tx.steps.park(fenceOf(third), wait);
        await tx.steps.moveAll(work.run.id, cancel);
      });
      const reopened = await store.transact((tx) => tx.steps.reopen(work.run.id, now));
      assert.deepEqual(statuses(reopened), [
        [stepAt(work, 1).id, "ready"],
        [stepAt(work, 2).id, "blocked"],
        [stepAt(work, 3).id, "ready"],
      ]);
      assert.deepEqual(
        reopened.map((step) => [step.attempts, step.failure, step.startedAt, step.finishedAt]),
        Array.from({ length: 3 }, () => [0, null, null, null]),
      );
      const again = await claim({ store, clock });
      assert.deepEqual(ids(again), [stepAt(work, 1).id, stepAt(work, 3).id]);
      assert.ok(again[0]);
      await end({ store, clock }, again[0]);
      assert.deepEqual(ids(await claim({ store, clock })), [stepAt(work, 2).id]);
    },
  },
  {
    title: "keeps gated steps shut until their gate opens, also after a retry",
    async run({ store, clock }) {
      const gated = { phase: "check", status: "blocked" } as const;
      const work = await insertWork({ store, clock }, { steps: [{}, gated, gated] });
      const now = timestamp(clock);
      const first = await claimOne({ store, clock });
      assert.deepEqual(await claim({ store, clock }), []);
      await store.transact(async (tx) => {
        await tx.steps.end(fenceOf(first), { ...failed, now });
        const cancel = { from: ["blocked"], to: "cancelled", reason: "", now } as const;
        await tx.steps.moveAll(work.run.id, cancel);
        await tx.steps.reopen(work.run.id, now);
      });
      const again = await claim({ store, clock });
      assert.deepEqual(ids(again), [first.step.id]);
      assert.ok(again[0]);
      await end({ store, clock }, again[0]);
      const open = (phase: Step["phase"]) =>
        store.transact((tx) => tx.steps.openGate(work.run.id, phase, now));
      assert.equal(await open("observe"), 0);
      assert.equal(await open("check"), 2);
      assert.equal(await open("check"), 0);
      assert.deepEqual(ids(await claim({ store, clock })), [
        stepAt(work, 1).id,
        stepAt(work, 2).id,
      ]);
    },
  },
  {
    title: "keeps a step's key unique within its run",
    async run({ store, clock }) {
      const { run, steps } = await insertWork({ store, clock });
      const twin = aStep(clock, run, { key: steps[0]?.key ?? "" });
      await assert.rejects(insert(store, twin));
      const { run: other } = await insertWork({ store, clock });
      await insert(store, { ...twin, runId: other.id, environmentId: other.environmentId });
    },
  },
];

function insert(store: Store, step: Step): Promise<void> {
  return store.transact((tx) => tx.steps.insert([step], [[]]));
}

function statuses(steps: readonly Step[]): readonly (readonly [string, Step["status"]])[] {
  return steps.map(({ id, status }) => [id, status] as const);
}
