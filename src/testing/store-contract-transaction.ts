import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { timestamp } from "../ports/clock.ts";
import type { ContractCase } from "./store-contract-case.ts";
import { anEnvironment, anEvent, aRun, journalOf, turns, withCode } from "./store-contract-data.ts";

export const transactionCases: readonly ContractCase[] = [
  {
    title: "gives what the function returns, and reads see it at once",
    async run({ store, clock }) {
      const environment = anEnvironment(clock);
      const given = await store.transact(async (tx) => {
        await tx.environments.insert(environment);
        return 42;
      });
      assert.equal(given, 42);
      assert.deepEqual(await store.read((tx) => tx.environments.get(environment.id)), environment);
    },
  },
  {
    title: "keeps nothing of a transaction that throws and passes its error on",
    async run({ store, clock }) {
      const environment = anEnvironment(clock);
      const fault = new Error("on purpose");
      const work = store.transact(async (tx) => {
        await tx.environments.insert(environment);
        throw fault;
      });
      await assert.rejects(work, fault);
      assert.equal(await store.read((tx) => tx.environments.get(environment.id)), null);
    },
  },
  {
    title: "undoes one that throws alone among many that wait at the same time",
    async run({ store, clock }) {
      const all = Array.from({ length: 20 }, () => anEnvironment(clock));
      const outcomes = await Promise.allSettled(
        all.map((environment, index) =>
          store.transact(async (tx) => {
            await tx.environments.insert(environment);
            if (index % 3 === 0) throw new Error("on purpose");
          }),
        ),
      );
      const kept = await store.read((tx) => tx.environments.list({}, { limit: 100, cursor: null }));
      const expected = all.filter((_environment, index) => index % 3 !== 0).map(({ id }) => id);
      assert.deepEqual(kept.items.map(({ id }) => id).toSorted(), expected.toSorted());
      assert.equal(outcomes.filter(({ status }) => status === "rejected").length, 7);
    },
  },
  {
    title: "loses no update when many change the same row at once",
    async run({ store, clock }) {
      const environment = anEnvironment(clock);
      await store.transact((tx) => tx.environments.insert(environment));
      const raise = () =>
        store.transact(async (tx) => {
          const now = await tx.environments.get(environment.id);
          await tx.environments.update(environment.id, { generation: (now?.generation ?? 0) + 1 });
        });
      await Promise.all(Array.from({ length: 50 }, raise));
      const after = await store.read((tx) => tx.environments.get(environment.id));
      assert.equal(after?.generation, 51);
    },
  },
  {
    title: "sees its own writes",
    async run({ store, clock }) {
      const environment = anEnvironment(clock);
      const inside = await store.transact(async (tx) => {
        await tx.environments.insert(environment);
        return tx.environments.get(environment.id);
      });
      assert.deepEqual(inside, environment);
    },
  },
  {
    title: "reads one snapshot however long a read takes, without keeping writers waiting",
    async run({ store, clock }) {
      const environment = anEnvironment(clock);
      await store.transact((tx) => tx.environments.insert(environment));
      const written = Promise.withResolvers<void>();
      const long = store.read(async (tx) => {
        const before = (await tx.environments.get(environment.id))?.generation;
        await written.promise;
        return [before, (await tx.environments.get(environment.id))?.generation];
      });
      await store.transact((tx) => tx.environments.update(environment.id, { generation: 9 }));
      written.resolve();
      assert.deepEqual(await long, [1, 1]);
      const later = await store.read((tx) => tx.environments.get(environment.id));
      assert.equal(later?.generation, 9);
    },
  },
  {
    title: "refuses writes of a read",
    async run({ store, clock }) {
      const environment = anEnvironment(clock);
      await assert.rejects(store.read((tx) => tx.environments.insert(environment)));
      assert.equal(await store.read((tx) => tx.environments.get(environment.id)), null);
    },
  },
  {
    title: "refuses a transaction or a read inside a transaction instead of waiting for ever",
    async run({ store }) {
      await assert.rejects(
        store.transact(() => store.transact(async () => 1)),
        withCode("internal"),
      );
      await assert.rejects(
        store.transact(() => store.read(async () => 1)),
        withCode("internal"),
      );
      assert.equal(await store.transact(async () => "goes on"), "goes on");
    },
  },
  {
    title: "refuses the use of a transaction after it has ended",
    async run({ store, clock }) {
      const kept = await store.transact(async (tx) => ({ tx }));
      await assert.rejects(
        async () => kept.tx.environments.insert(anEnvironment(clock)),
        withCode("internal"),
      );
    },
  },
  {
    title: "wakes watchers after the commit, and not for what was rolled back",
    async run({ store, clock }) {
      const environment = anEnvironment(clock);
      await store.transact((tx) => tx.environments.insert(environment));
      await turns();
      const woken: string[] = [];
      const stop = store.watch("journal", () => woken.push("journal"));
      const failing = store.transact(async (tx) => {
        await tx.events.append([anEvent(environment.id)], timestamp(clock));
        throw new Error("on purpose");
      });
      await assert.rejects(failing);
      await turns();
      assert.deepEqual(woken, []);
      const append = () =>
        store.transact((tx) => tx.events.append([anEvent(environment.id)], timestamp(clock)));
      await Promise.all([append(), append(), append()]);
      await journalOf(store, 3);
      // Where positions are given after the commit, whoever gave them tells of it a moment after they can be read.
      for (let tries = 0; woken.length === 0 && tries < 500; tries += 1) await sleep(10);
      await turns();
      assert.match(woken.join(), /^journal(,journal){0,2}$/u);
      const before = woken.length;
      stop();
      await append();
      await journalOf(store, 4);
      await turns();
      assert.equal(woken.length, before);
    },
  },
  {
    title: "wakes the watchers of the queue when runs come or change, and no others",
    async run({ store, clock }) {
      const environment = anEnvironment(clock);
      await store.transact((tx) => tx.environments.insert(environment));
      const woken: string[] = [];
      for (const topic of ["queue", "commands", "logs", "journal"] as const) {
        store.watch(topic, () => woken.push(topic));
      }
      const run = aRun(clock, environment.id, { status: "queued" });
      await store.transact((tx) => tx.runs.insert(run));
      await turns();
      await store.transact((tx) => tx.runs.update(run.id, { status: "running" }));
      await turns();
      assert.deepEqual(woken, ["queue", "queue"]);
    },
  },
  {
    title: "is up, and after closing refuses work and says that it is down",
    async run({ store }) {
      assert.equal((await store.health()).status, "up");
      await store.close();
      await assert.rejects(
        store.transact(async () => 1),
        withCode("unavailable"),
      );
      await assert.rejects(
        store.read(async () => 1),
        withCode("unavailable"),
      );
      assert.equal((await store.health()).status, "down");
    },
  },
  {
    title: "finishes what is under way before it closes",
    async run({ store, clock }) {
      const environment = anEnvironment(clock);
      const work = store.transact((tx) => tx.environments.insert(environment));
      await store.close();
      await work;
    },
  },
];
