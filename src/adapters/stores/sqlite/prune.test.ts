import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { timestamp } from "../../../ports/clock.ts";
import { FakeClock } from "../../../testing/fake-clock.ts";
import { anEvent, insertWork } from "../../../testing/store-contract-data.ts";
import { createSqliteStore } from "./index.ts";
import type { SqliteStore } from "./index.ts";
import { silentLog } from "./store.fixture.ts";

describe("retention", () => {
  it("removes old events from the front, in batches, and keeps the newest and its position", async () => {
    await withStore(async (store, clock) => {
      const append = (count: number) =>
        store.transact((tx) =>
          tx.events.append(
            Array.from({ length: count }, () => anEvent(null)),
            timestamp(clock),
          ),
        );
      await append(2_500);
      clock.advance(1_000);
      await append(2);
      await store.prune({ journalBefore: timestamp(clock) });
      assert.equal(await store.read((tx) => tx.events.oldest()), 2_501);
      clock.advance(1_000);
      await store.prune({ journalBefore: timestamp(clock) });
      assert.equal(await store.read((tx) => tx.events.oldest()), 2_502);
      assert.equal(await store.read((tx) => tx.events.head()), 2_502);
      await append(1);
      assert.equal(await store.read((tx) => tx.events.head()), 2_503);
    });
  });

  it("removes logs of runs that ended long ago, all of them, and of no others", async () => {
    await withStore(async (store, clock) => {
      const works = [
        await insertWork({ store, clock }),
        await insertWork({ store, clock }),
        await insertWork({ store, clock }),
      ];
      for (const [index, { run, steps }] of works.entries()) {
        const lines = Array.from({ length: 1_200 }, (_none, n) => ({
          number: n + 1,
          token: 1,
          time: timestamp(clock),
          text: "x",
        }));
        await store.transact(async (tx) => {
          await tx.logs.append(steps[0]?.id ?? "", lines);
          if (index < 2) await tx.runs.update(run.id, { finishedAt: timestamp(clock) });
        });
      }
      clock.advance(1_000);
      await store.prune({ logsBefore: timestamp(clock) });
      const left = await Promise.all(
        works.map(({ steps }) => store.read((tx) => tx.logs.last(steps[0]?.id ?? ""))),
      );
      assert.deepEqual(left, [0, 0, 1_200]);
    });
  });

  it("keeps what it is not told of, commands that have not ended and the audit", async () => {
    await withStore(async (store, clock) => {
      const command = {
        source: "rest",
        type: "run.cancel",
        subject: null,
        bodyHmac: "",
        data: null,
        failure: null,
        environmentId: null,
        templateId: null,
        runId: null,
        planId: null,
        actor: "a",
        correlationId: null,
        traceparent: null,
        sender: null,
        reply: null,
        createdAt: timestamp(clock),
        finishedAt: null,
      } as const;
      await store.transact(async (tx) => {
        for (const status of ["accepted", "completed", "refused"] as const) {
          await tx.commands.insert({ ...command, id: status, sourceId: status, status });
        }
        const audit = { actor: "a", action: "b", subject: "c", commandId: null, detail: null };
        await tx.audits.append({ ...audit, id: "x", time: timestamp(clock) });
      });
      clock.advance(1_000);
      await store.prune({});
      const now = timestamp(clock);
      const all = { limit: 10, cursor: null };
      const count = async () => (await store.read((tx) => tx.commands.list(all))).items.length;
      assert.equal(await count(), 3);
      await store.prune({
        journalBefore: now,
        logsBefore: now,
        commandsBefore: now,
        plansBefore: now,
      });
      const left = await store.read((tx) => tx.commands.list(all));
      assert.deepEqual(
        left.items.map(({ id }) => id),
        ["accepted"],
      );
      assert.equal((await store.read((tx) => tx.audits.list(all))).items.length, 1);
    });
  });
});

async function withStore(fn: (store: SqliteStore, clock: FakeClock) => Promise<void>) {
  const directory = await mkdtemp(join(tmpdir(), "glasshouse-prune-"));
  const clock = new FakeClock();
  const store = await createSqliteStore({ directory, clock, log: silentLog });
  try {
    await fn(store, clock);
  } finally {
    await store.close();
    await rm(directory, { recursive: true, force: true });
  }
}
