import assert from "node:assert/strict";
import { timestamp } from "../ports/clock.ts";
import type { Tx } from "../ports/store.ts";
import type { Claim, EndedStep } from "../ports/work.ts";
import type { ContractCase, OpenStore } from "./store-contract-case.ts";
import {
  anEvent,
  aWorker,
  claim,
  claimOne,
  fenceOf,
  ids,
  insertWork,
  journalOf,
  stepAt,
  succeeded,
  takeFrom,
  withCode,
  type Work,
} from "./store-contract-data.ts";

type Open = Pick<OpenStore, "store" | "clock">;

interface Hop extends EndedStep {
  readonly claims: readonly Claim[];
}

/** Ends a step of a chain, tells of it with the progress of its run, and gives what was claimed in its place. */
function hop({ store, clock }: Open, ended: Claim, alsoDo?: () => never): Promise<Hop> {
  return store.transact(
    async (tx) => {
      const now = timestamp(clock);
      const outcome = { ...succeeded, now, progress: { done: 1 } };
      const { progress, isOpen } = await tx.steps.end(fenceOf(ended), outcome);
      alsoDo?.();
      const data = { progress: { ...progress } };
      await tx.events.append([anEvent(ended.step.environmentId, { data })], now);
      return { progress, isOpen, claims: tx.steps.inPlace() };
    },
    { brief: true, inPlace: () => true },
  );
}

const chain = { steps: [{}, {}, {}, {}], upstreams: [[], [0], [1], [2]] } as const;

/** A chain of which the second step was claimed in place of the first, which one event tells of. */
async function begunChain(open: Open): Promise<{ readonly work: Work; readonly second: Claim }> {
  const work = await insertWork(open, chain);
  const first = await claimOne(open);
  const [second] = (await hop(open, first)).claims;
  assert.ok(second !== undefined);
  assert.equal(second.step.id, stepAt(work, 1).id);
  return { work, second };
}

interface Change {
  readonly what: string;
  readonly make: (tx: Tx, work: Work) => Promise<unknown>;
  /** Whether the third step is claimed all the same. */
  readonly claims: boolean;
}

/** What others may do between the claim of a step and its end. */
const changes: readonly Change[] = [
  {
    what: "told something of the environment",
    make: (tx, { environment }) => tx.events.append([anEvent(environment.id)], "2020-01-01"),
    claims: true,
  },
  {
    what: "counted something in the run",
    make: (tx, { run }) => tx.runs.addProgress(run.id, { skipped: 2, total: 7 }),
    claims: true,
  },
  {
    what: "given the next step other data",
    make: (tx, work) => tx.steps.setInput(stepAt(work, 2).id, { other: true }),
    claims: true,
  },
  {
    what: "cancelled what has not begun",
    make: (tx, { run }) =>
      tx.steps.moveAll(run.id, { from: ["blocked"], to: "cancelled", reason: "", now: "" }),
    claims: false,
  },
  {
    what: "let the run wait",
    make: (tx, { run }) => tx.runs.update(run.id, { status: "waiting" }),
    claims: false,
  },
  {
    what: "narrowed the run",
    make: (tx, { run }) =>
      tx.runs.update(run.id, { options: { deferred: "safe", parallelism: 0 } }),
    claims: false,
  },
  {
    what: "sent the worker away",
    make: (tx) => tx.workers.setStatus("wrk_1", "gone"),
    claims: false,
  },
];

async function findsWhatHasChanged(open: Open, { make, claims }: Change): Promise<void> {
  const { store, clock } = open;
  await store.transact((tx) => tx.workers.put(aWorker(clock, { id: "wrk_1" }), 60_000));
  const { work, second } = await begunChain(open);
  await store.transact((tx) => make(tx, work));
  const before = await store.read((tx) => tx.runs.get(work.run.id));
  const ended = await hop(open, second);
  const third = await store.read((tx) => tx.steps.get(stepAt(work, 2).id));
  assert.deepEqual(
    ended.claims.map(({ step }) => step),
    claims ? [third] : [],
  );
  assert.equal(third?.status === "running", claims);
  const { done = 0, ...others } = before?.progress ?? {};
  assert.deepEqual(ended.progress, { ...others, done: done + 1 });
  const isOpen = await store.read((tx) => tx.steps.anyOpen(work.run.id));
  assert.equal(ended.isOpen, isOpen);
  const events = await journalOf(store, 2, { environmentId: work.environment.id });
  const sequences = events.map(({ sequence }) => sequence);
  assert.deepEqual(
    sequences,
    sequences.map((_, at) => at + 1),
  );
}

/** Of stores that claim in place of a step that has ended: what is known of the next end from there may have changed since. */
export const inChainCases: readonly ContractCase[] = [
  {
    title: "ends a chain step by step, with the progress of its run and events without a gap",
    async run(open) {
      const work = await insertWork(open, chain);
      let [last] = await claim(open);
      for (const at of chain.steps.keys()) {
        assert.ok(last !== undefined);
        assert.equal(last.step.id, stepAt(work, at).id);
        const { progress, isOpen, claims } = await hop(open, last);
        const isLast = at === chain.steps.length - 1;
        assert.equal(progress?.done, at + 1);
        assert.equal(isOpen, !isLast);
        assert.equal(claims.length, isLast ? 0 : 1);
        [last] = claims;
      }
      const of = { environmentId: work.environment.id };
      const events = await journalOf(open.store, 4, of);
      assert.deepEqual(
        events.map(({ sequence, data }) => ({ sequence, data })),
        [1, 2, 3, 4].map((done) => ({
          sequence: done,
          data: { progress: { ...work.run.progress, done } },
        })),
      );
      const { sequence } =
        (await open.store.read((tx) => tx.environments.get(work.environment.id))) ?? {};
      assert.equal(sequence, 4);
      for (const { id } of work.steps) {
        const [attempt, ...others] = await open.store.read((tx) => tx.steps.attempts(id));
        assert.deepEqual([attempt?.outcome, attempt?.worker, others], ["succeeded", "wrk_1", []]);
      }
    },
  },
  ...changes.map((change) => ({
    title: `finds at the end of a claim in place that somebody has ${change.what}`,
    run: (open: Open) => findsWhatHasChanged(open, change),
  })),
  {
    title: "goes past no other step that may be claimed by then",
    async run(open) {
      const { work, second } = await begunChain(open);
      const other = await insertWork(open);
      assert.deepEqual((await hop(open, second)).claims, []);
      const expected = [stepAt(other, 0).id, stepAt(work, 2).id];
      assert.deepEqual([...ids(await claim(open))].sort(), expected.sort());
    },
  },
  {
    title:
      "refuses the end of a claim in place that has another owner, whatever its transaction makes of it",
    async run(open) {
      for (const alsoDo of [undefined, elsewhere]) {
        const { work, second } = await begunChain(open);
        await takeFrom(open, { gone: "wrk_1", taker: "wrk_2" });
        const taken = await claimOne(open, { worker: "wrk_2" });
        assert.equal(taken.step.id, second.step.id);
        await assert.rejects(hop(open, second, alsoDo), withCode("stale-token"));
        const third = await open.store.read((tx) => tx.steps.get(stepAt(work, 2).id));
        assert.equal(third?.status, "blocked");
        assert.equal((await hop(open, taken)).claims.length, 1);
        await open.store.transact((tx) =>
          tx.workers.put(aWorker(open.clock, { id: "wrk_1" }), 60_000),
        );
      }
    },
  },
  {
    title: "keeps nothing of a hop whose transaction fails, and lets it be done again",
    async run(open) {
      const { work, second } = await begunChain(open);
      await assert.rejects(hop(open, second, elsewhere), /something else/u);
      const steps = await open.store.read(async (tx) => [
        await tx.steps.get(stepAt(work, 1).id),
        await tx.steps.get(stepAt(work, 2).id),
      ]);
      assert.deepEqual(
        steps.map((step) => step?.status),
        ["running", "blocked"],
      );
      assert.equal((await hop(open, second)).claims.length, 1);
    },
  },
];

function elsewhere(): never {
  throw new Error("something else went wrong");
}
