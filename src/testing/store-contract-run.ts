import assert from "node:assert/strict";
import { timestamp } from "../ports/clock.ts";
import type { ContractCase } from "./store-contract-case.ts";
import { anEnvironment, aRun, claimOne, fenceOf, insertWork } from "./store-contract-data.ts";

export const runCases: readonly ContractCase[] = [
  {
    title: "keeps every member of a run, and changes only those that a patch names",
    async run({ store, clock }) {
      const environment = anEnvironment(clock);
      const run = aRun(clock, environment.id, {
        blocker: { kind: "requirement", on: ["env_1"] },
        options: { deferred: "any", parallelism: 3 },
        killRequested: true,
        progress: { done: 1, total: 2, failed: 3, skipped: 4 },
      });
      await store.transact(async (tx) => {
        await tx.environments.insert(environment);
        await tx.runs.insert(run);
      });
      assert.deepEqual(await store.read((tx) => tx.runs.get(run.id)), run);
      const patch = { status: "waiting", blocker: null, killRequested: false } as const;
      await store.transact((tx) => tx.runs.update(run.id, patch));
      assert.deepEqual(await store.read((tx) => tx.runs.get(run.id)), { ...run, ...patch });
    },
  },
  {
    title: "adds to the progress without losing any",
    async run({ store, clock }) {
      const { run } = await insertWork({ store, clock });
      await Promise.all(
        Array.from({ length: 30 }, () =>
          store.transact((tx) => tx.runs.addProgress(run.id, { done: 1, total: 2, skipped: 1 })),
        ),
      );
      const now = await store.read((tx) => tx.runs.get(run.id));
      assert.deepEqual(now?.progress, { done: 30, total: 60, failed: 0, skipped: 30 });
    },
  },
  {
    title: "offers the oldest exclusive run of each free environment, and every plan and refresh",
    async run({ store, clock }) {
      const free = anEnvironment(clock);
      const busy = anEnvironment(clock, { activeRun: "run_x" });
      const queued = { status: "queued" } as const;
      const runs = [
        aRun(clock, busy.id, { ...queued, kind: "update" }),
        aRun(clock, free.id, { ...queued, kind: "plan" }),
        aRun(clock, free.id, { ...queued, kind: "update" }),
        aRun(clock, free.id, { ...queued, kind: "destroy" }),
        aRun(clock, busy.id, { ...queued, kind: "refresh" }),
        aRun(clock, free.id, { status: "running", kind: "plan" }),
      ];
      await store.transact(async (tx) => {
        await tx.environments.insert(free);
        await tx.environments.insert(busy);
        for (const run of runs) await tx.runs.insert(run);
      });
      const startable = async (limit: number) =>
        (await store.read((tx) => tx.runs.startable(limit))).map(({ id }) => id);
      assert.deepEqual(await startable(10), [runs[1]?.id, runs[2]?.id, runs[4]?.id]);
      assert.deepEqual(await startable(1), [runs[1]?.id]);
      const queue = await store.read((tx) => tx.runs.queue(free.id));
      assert.deepEqual(
        queue.map(({ id }) => id),
        [runs[1]?.id, runs[2]?.id, runs[3]?.id],
      );
      assert.equal(await store.read((tx) => tx.runs.countQueued()), 5);
    },
  },
  {
    title: "knows the runs in flight and those whose cancel was asked for",
    async run({ store, clock }) {
      const environment = anEnvironment(clock);
      const asked = { cancelRequestedAt: timestamp(clock) };
      const runs = [
        aRun(clock, environment.id, { status: "running" }),
        aRun(clock, environment.id, { status: "waiting", ...asked }),
        aRun(clock, environment.id, { status: "failed", ...asked }),
        aRun(clock, environment.id, { status: "queued", ...asked }),
      ];
      await store.transact(async (tx) => {
        await tx.environments.insert(environment);
        for (const run of runs) await tx.runs.insert(run);
      });
      assert.deepEqual(await store.read((tx) => tx.runs.inFlight()), runs.slice(0, 2));
      assert.deepEqual(await store.read((tx) => tx.runs.cancelling()), [runs[1]]);
    },
  },
  {
    title: "lists runs newest first by environment and status",
    async run({ store, clock }) {
      const [one, two] = [anEnvironment(clock), anEnvironment(clock)];
      const runs = Array.from({ length: 8 }, (_none, index) =>
        aRun(clock, index % 2 === 0 ? one.id : two.id, {
          status: index < 4 ? "succeeded" : "queued",
        }),
      );
      await store.transact(async (tx) => {
        await tx.environments.insert(one);
        await tx.environments.insert(two);
        for (const run of runs) await tx.runs.insert(run);
      });
      const page = (filter: Parameters<typeof list>[0], cursor: string | null) =>
        list(filter, cursor);
      const list = (filter: { environmentId?: string; status?: "queued" }, cursor: string | null) =>
        store.read((tx) => tx.runs.list(filter, { limit: 3, cursor }));
      const first = await page({ environmentId: one.id }, null);
      const second = await page({ environmentId: one.id }, first.next);
      const ofOne = runs.filter(({ environmentId }) => environmentId === one.id).toReversed();
      assert.deepEqual([...first.items, ...second.items], ofOne);
      assert.equal(second.next, null);
      const queued = await page({ environmentId: two.id, status: "queued" }, null);
      assert.deepEqual(queued.items, [runs[7], runs[5]]);
    },
  },
  {
    title: "remembers who uses an environment until the use is released",
    async run({ store, clock }) {
      const base = anEnvironment(clock);
      await store.transact((tx) => tx.environments.insert(base));
      const { run } = await insertWork({ store, clock });
      const users = async () =>
        (await store.read((tx) => tx.runs.usersOf(base.id))).map(({ id }) => id);
      await store.transact((tx) => tx.runs.use(run.id, [base.id]));
      await store.transact((tx) => tx.runs.use(run.id, [base.id]));
      assert.deepEqual(await users(), [run.id]);
      await store.transact((tx) => tx.runs.releaseUses(run.id));
      assert.deepEqual(await users(), []);
    },
  },
  {
    title: "keeps log lines in order, and a repeated number once",
    async run({ store, clock }) {
      const work = await insertWork({ store, clock });
      const claimed = await claimOne({ store, clock });
      const stepId = work.steps[0]?.id ?? "";
      const line = (number: number, text = `line ${number}`) => ({
        number,
        token: fenceOf(claimed).token,
        time: timestamp(clock),
        text,
      });
      await store.transact((tx) => tx.logs.append(stepId, [line(1), line(2), line(3)]));
      await store.transact((tx) => tx.logs.append(stepId, [line(3, "again"), line(4)]));
      const lines = await store.read((tx) => tx.logs.after(stepId, 1, 2));
      assert.deepEqual(lines, [line(2), line(3)]);
      assert.equal(await store.read((tx) => tx.logs.last(stepId)), 4);
      assert.equal(await store.read((tx) => tx.logs.last("stp_none")), 0);
    },
  },
];
