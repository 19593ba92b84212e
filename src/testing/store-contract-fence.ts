import assert from "node:assert/strict";
import type { Tx } from "../ports/store.ts";
import type { Fence } from "../ports/work.ts";
import type { ContractCase } from "./store-contract-case.ts";
import {
  claimOne,
  fenceOf,
  insertWork,
  stepAt,
  succeeded,
  takeFrom,
  withCode,
} from "./store-contract-data.ts";

const now = "2026-01-01T00:00:00.000Z";
const failure = { code: "outcome-unknown", message: "m" } as const;

/** Every write of a worker. */
const writes: Readonly<Record<string, (tx: Tx, fence: Fence) => Promise<void>>> = {
  fence: (tx, fence) => tx.steps.fence(fence),
  fenceLast: (tx, fence) => tx.steps.fenceLast(fence),
  end: async (tx, fence) => {
    await tx.steps.end(fence, { ...succeeded, now });
  },
  retry: (tx, fence) =>
    tx.steps.retry(fence, { availableAt: null, counts: true, reason: "r", failure: null, now }),
  park: (tx, fence) => tx.steps.park(fence, { reason: "r", failure, now }),
  setChild: (tx, fence) =>
    tx.steps.setChild(fence, { pid: 1, startTime: "1", bootId: "b", stopsWithinMs: 1 }),
  addNotes: (tx, fence) => tx.steps.addNotes(fence, ["note"]),
};

export const fenceCases: readonly ContractCase[] = [
  ...Object.entries(writes).map(([name, write]): ContractCase => ({
    title: `${name} is refused, and writes nothing, unless step, run, environment and token fit`,
    async run({ store, clock }) {
      const other = await insertWork({ store, clock });
      await insertWork({ store, clock });
      await claimOne({ store, clock });
      const claimed = await claimOne({ store, clock });
      const fence = fenceOf(claimed);
      const wrong: readonly Partial<Fence>[] = [
        { token: fence.token - 1 },
        { token: fence.token + 1 },
        { runId: other.run.id },
        { environmentId: other.environment.id },
        { stepId: stepAt(other, 0).id },
        { stepId: "stp_none" },
      ];
      const state = () =>
        store.read(async (tx) => [
          await tx.steps.get(fence.stepId),
          await tx.steps.attempts(fence.stepId),
          await tx.steps.get(stepAt(other, 0).id),
        ]);
      const before = await state();
      for (const part of wrong) {
        const attempt = store.transact((tx) => write(tx, { ...fence, ...part }));
        await assert.rejects(attempt, withCode("stale-token"), JSON.stringify(part));
      }
      assert.deepEqual(await state(), before);
      await store.transact((tx) => write(tx, fence));
    },
  })),
  {
    title: "an earlier owner is refused once the step was abandoned, and once it is claimed again",
    async run({ store, clock }) {
      await insertWork({ store, clock });
      const lost = fenceOf(await claimOne({ store, clock }, { worker: "wrk_old" }));
      await takeFrom({ store, clock }, { gone: "wrk_old", taker: "wrk_new" });
      const write = () => store.transact((tx) => tx.steps.end(lost, { ...succeeded, now }));
      await assert.rejects(write(), withCode("stale-token"));
      const taken = fenceOf(await claimOne({ store, clock }, { worker: "wrk_new" }));
      await assert.rejects(write(), withCode("stale-token"));
      await store.transact((tx) => tx.steps.end(taken, { ...succeeded, now }));
      await assert.rejects(write(), withCode("stale-token"));
    },
  },
  {
    title:
      "the last owner may still tell something when the step has ended, an earlier one may not",
    async run({ store, clock }) {
      await insertWork({ store, clock });
      const lost = fenceOf(await claimOne({ store, clock }, { worker: "wrk_old" }));
      await takeFrom({ store, clock }, { gone: "wrk_old", taker: "wrk_new" });
      const last = fenceOf(await claimOne({ store, clock }, { worker: "wrk_new" }));
      await store.transact((tx) => tx.steps.end(last, { ...succeeded, now }));
      await store.transact((tx) => tx.steps.fenceLast(last));
      const late = store.transact((tx) => tx.steps.fenceLast(lost));
      await assert.rejects(late, withCode("stale-token"));
    },
  },
  {
    title:
      "a run that no longer holds its environment is refused; a plan holds nothing and goes on",
    async run({ store, clock }) {
      for (const kind of ["update", "plan", "refresh"] as const) {
        const work = await insertWork({ store, clock }, { run: { kind } });
        const fence = fenceOf(await claimOne({ store, clock }));
        const to = { activeRun: "run_other" };
        await store.transact((tx) => tx.environments.update(work.environment.id, to));
        const write = store.transact((tx) => tx.steps.fence(fence));
        if (kind === "update") await assert.rejects(write, withCode("stale-token"));
        else await write;
      }
    },
  },
  {
    title: "a refused write takes the rest of its transaction along",
    async run({ store, clock }) {
      const work = await insertWork({ store, clock });
      const fence = fenceOf(await claimOne({ store, clock }));
      const writing = store.transact(async (tx) => {
        await tx.environments.update(work.environment.id, { reason: "must not be kept" });
        await tx.steps.fence({ ...fence, token: 99 });
      });
      await assert.rejects(writing, withCode("stale-token"));
      const after = await store.read((tx) => tx.environments.get(work.environment.id));
      assert.equal(after?.reason, null);
    },
  },
  {
    title:
      "without the check an earlier owner overwrites a later one: that is what the fence is for",
    unsafeWithoutFence: true,
    async run({ store, clock }) {
      const work = await insertWork({ store, clock });
      const lost = fenceOf(await claimOne({ store, clock }, { worker: "wrk_old" }));
      await takeFrom({ store, clock }, { gone: "wrk_old", taker: "wrk_new" });
      await claimOne({ store, clock }, { worker: "wrk_new" });
      await store.transact((tx) => tx.steps.end(lost, { ...succeeded, now }));
      const step = await store.read((tx) => tx.steps.get(stepAt(work, 0).id));
      assert.equal(step?.status, "succeeded");
    },
  },
];
