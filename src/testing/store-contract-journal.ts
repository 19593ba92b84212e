import assert from "node:assert/strict";
import type { Command } from "../domain/command.ts";
import { timestamp } from "../ports/clock.ts";
import type { FakeClock } from "./fake-clock.ts";
import type { ContractCase } from "./store-contract-case.ts";
import { anEnvironment, anEvent, aRun, journalOf, withCode } from "./store-contract-data.ts";

export const journalCases: readonly ContractCase[] = [
  {
    title: "numbers an environment's events without gaps however many append at once",
    async run({ store, clock }) {
      const all = [anEnvironment(clock), anEnvironment(clock)];
      await store.transact(async (tx) => {
        for (const environment of all) await tx.environments.insert(environment);
      });
      const append = (index: number) =>
        store.transact(async (tx) => {
          const both = all.map(({ id }) => anEvent(id));
          await tx.events.append(index % 2 === 0 ? both : both.toReversed(), timestamp(clock));
          if (index % 5 === 0) throw new Error("on purpose");
        });
      await Promise.allSettled(Array.from({ length: 40 }, (_none, index) => append(index)));
      for (const { id } of all) {
        const written = await journalOf(store, 32, { environmentId: id });
        const expected = Array.from({ length: 32 }, (_none, index) => index + 1);
        assert.deepEqual(
          written.map(({ sequence }) => sequence),
          expected,
        );
        const environment = await store.read((tx) => tx.environments.get(id));
        assert.equal(environment?.sequence, 32);
      }
    },
  },
  {
    title: "shows in a transaction what it has appended, however often",
    async run({ store, clock }) {
      const environment = anEnvironment(clock);
      await store.transact((tx) => tx.environments.insert(environment));
      const seen = await store.transact(async (tx) => {
        const sequences: number[] = [];
        for (const count of [1, 2]) {
          const events = Array.from({ length: count }, () => anEvent(environment.id));
          await tx.events.append(events, timestamp(clock));
          sequences.push((await tx.environments.get(environment.id))?.sequence ?? -1);
          await tx.events.append([anEvent(environment.id)], timestamp(clock));
        }
        return sequences;
      });
      assert.deepEqual(seen, [1, 4]);
      const events = await journalOf(store, 5);
      assert.deepEqual(
        events.map(({ sequence }) => sequence),
        [1, 2, 3, 4, 5],
      );
      const after = await store.read((tx) => tx.environments.get(environment.id));
      assert.equal(after?.sequence, 5);
    },
  },
  {
    title: "gives positions that only rise, and every event after a position once",
    async run({ store, clock }) {
      const environment = anEnvironment(clock);
      await store.transact((tx) => tx.environments.insert(environment));
      const returned: string[] = [];
      for (let n = 0; n < 10; n += 1) {
        const written = await store.transact((tx) =>
          tx.events.append([anEvent(environment.id), anEvent(null)], timestamp(clock)),
        );
        returned.push(...written.map(({ id }) => id));
      }
      await journalOf(store, 20);
      const read: number[] = [];
      const order: string[] = [];
      for (let cursor = 0; ;) {
        const page = await store.read((tx) => tx.events.after(cursor, { limit: 3 }));
        read.push(...page.map(({ position }) => position));
        order.push(...page.map(({ id }) => id));
        const last = page.at(-1);
        if (last === undefined) break;
        cursor = last.position;
      }
      assert.deepEqual(order, returned);
      assert.deepEqual(
        read,
        read.toSorted((a, b) => a - b),
      );
      assert.equal(new Set(read).size, 20);
      assert.equal(await store.read((tx) => tx.events.head()), read.at(-1));
      assert.equal(await store.read((tx) => tx.events.oldest()), read[0]);
    },
  },
  {
    title: "keeps an event whole and filters by environment and by run",
    async run({ store, clock }) {
      const environment = anEnvironment(clock);
      const run = aRun(clock, environment.id);
      await store.transact(async (tx) => {
        await tx.environments.insert(environment);
        await tx.runs.insert(run);
      });
      const of = { runId: run.id, commandId: "cmd_1", stepId: "stp_1", data: { a: [1, null] } };
      const [whole] = await store.transact((tx) =>
        tx.events.append(
          [anEvent(environment.id, of), anEvent(environment.id), anEvent(null)],
          timestamp(clock),
        ),
      );
      const all = await journalOf(store, 3);
      const ofRun = await store.read((tx) => tx.events.after(0, { runId: run.id, limit: 10 }));
      assert.deepEqual(ofRun, [{ ...whole, position: all[0]?.position }]);
      const types = ["environment.ok"] as const;
      assert.deepEqual(await store.read((tx) => tx.events.after(0, { types, limit: 10 })), []);
      const ok = { ...anEvent(environment.id), type: types[0] };
      await store.transact((tx) => tx.events.append([ok], timestamp(clock)));
      await journalOf(store, 4);
      const found = await store.read((tx) => tx.events.after(0, { types, limit: 10 }));
      assert.deepEqual(
        found.map(({ type, sequence }) => [type, sequence]),
        [["environment.ok", 3]],
      );
      assert.equal(whole?.commandId, "cmd_1");
      assert.equal(whole.stepId, "stp_1");
      assert.deepEqual(
        all.map(({ sequence }) => sequence),
        [1, 2, 0],
      );
    },
  },
  {
    title: "has head and oldest 0 while the journal is empty",
    async run({ store }) {
      assert.equal(await store.read((tx) => tx.events.head()), 0);
      assert.equal(await store.read((tx) => tx.events.oldest()), 0);
      assert.deepEqual(await store.transact((tx) => tx.events.append([], "")), []);
    },
  },
  {
    title: "takes a message of one source once",
    async run({ store, clock }) {
      const command = aCommand(clock);
      await store.transact((tx) => tx.commands.insert(command));
      const again = { ...command, id: clock.id("command") };
      await assert.rejects(
        store.transact((tx) => tx.commands.insert(again)),
        withCode("already-exists"),
      );
      await store.transact((tx) => tx.commands.insert({ ...again, source: "bus" }));
      const found = await store.read((tx) => tx.commands.bySource("rest", command.sourceId));
      assert.deepEqual(found, command);
      assert.equal(await store.read((tx) => tx.commands.bySource("rest", "other")), null);
    },
  },
  {
    title: "gives what the events of several commands are sent with",
    async run({ store, clock }) {
      const reply = { queue: "answers", correlationId: "7" };
      const asked = aCommand(clock, { reply, sender: "shop", traceparent: "00-1" });
      const silent = aCommand(clock, { correlationId: "c" });
      await store.transact(async (tx) => {
        for (const command of [asked, silent, aCommand(clock)]) await tx.commands.insert(command);
      });
      assert.deepEqual(await store.read((tx) => tx.commands.get(asked.id)), asked);
      const found = await store.read((tx) =>
        tx.commands.origins([silent.id, "cmd_none", asked.id]),
      );
      assert.deepEqual(
        found.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
        [
          { id: asked.id, reply, traceparent: "00-1", correlationId: null },
          { id: silent.id, reply: null, traceparent: null, correlationId: "c" },
        ],
      );
      assert.deepEqual(await store.read((tx) => tx.commands.origins([])), []);
    },
  },
  {
    title: "ends every command of a run that has not ended, once",
    async run({ store, clock }) {
      const open = [
        aCommand(clock, { runId: "run_1" }),
        aCommand(clock, { runId: "run_1", status: "refused" }),
        aCommand(clock, { runId: "run_2" }),
        aCommand(clock, { runId: "run_1" }),
      ];
      await store.transact(async (tx) => {
        for (const command of open) await tx.commands.insert(command);
      });
      const outcome = { status: "completed", failure: null, finishedAt: timestamp(clock) } as const;
      const settle = () => store.transact((tx) => tx.commands.settleRun("run_1", outcome));
      const settled = await settle();
      assert.deepEqual(
        settled,
        [open[0], open[3]].map((command) => ({ ...command, ...outcome })),
      );
      assert.deepEqual(await settle(), []);
      const other = await store.read((tx) => tx.commands.get(open[2]?.id ?? ""));
      assert.equal(other?.status, "accepted");
    },
  },
  {
    title: "lists commands newest first, in pages that new ones do not disturb",
    async run({ store, clock }) {
      const all = Array.from({ length: 7 }, () => aCommand(clock));
      await store.transact(async (tx) => {
        for (const command of all) await tx.commands.insert(command);
      });
      const first = await store.read((tx) => tx.commands.list({ limit: 3, cursor: null }));
      await store.transact((tx) => tx.commands.insert(aCommand(clock)));
      const second = await store.read((tx) => tx.commands.list({ limit: 3, cursor: first.next }));
      const third = await store.read((tx) => tx.commands.list({ limit: 3, cursor: second.next }));
      const read = [...first.items, ...second.items, ...third.items];
      assert.deepEqual(read, all.toReversed());
      assert.equal(third.next, null);
    },
  },
  {
    title: "refuses a cursor that no list gave",
    async run({ store }) {
      for (const cursor of ["", "x", "bm9uZQ", "../../etc"]) {
        await assert.rejects(
          store.read((tx) => tx.commands.list({ limit: 3, cursor })),
          withCode("invalid-request"),
        );
        await assert.rejects(
          store.read((tx) => tx.templates.list({ limit: 3, cursor })),
          withCode("invalid-request"),
        );
      }
    },
  },
  {
    title: "keeps audit entries whole, newest first",
    async run({ store, clock }) {
      const entries = ["a", "b", "c"].map((action) => ({
        id: clock.id("event"),
        time: timestamp(clock),
        actor: "local",
        action,
        subject: "environments/shop",
        commandId: null,
        detail: { action, deep: [{ x: null }] },
      }));
      await store.transact(async (tx) => {
        for (const entry of entries) await tx.audits.append(entry);
      });
      const page = await store.read((tx) => tx.audits.list({ limit: 10, cursor: null }));
      assert.deepEqual(page.items, entries.toReversed());
    },
  },
];

function aCommand(clock: FakeClock, over: Partial<Command> = {}): Command {
  return {
    id: clock.id("command"),
    source: "rest",
    sourceId: clock.id("event"),
    type: "environment.create",
    subject: "shop",
    bodyHmac: "00",
    data: { parameters: { size: 1 } },
    status: "accepted",
    failure: null,
    environmentId: null,
    templateId: null,
    runId: null,
    planId: null,
    actor: "local",
    correlationId: null,
    traceparent: null,
    sender: null,
    reply: null,
    createdAt: timestamp(clock),
    finishedAt: null,
    ...over,
  };
}
