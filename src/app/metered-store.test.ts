import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { SystemClock } from "../adapters/clock/system/index.ts";
import { createSqliteStore, type SqliteStore } from "../adapters/stores/sqlite/index.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { NewEvent } from "../domain/event.ts";
import type { Store } from "../ports/store.ts";
import { FakeMetrics } from "../testing/fake-metrics.ts";
import { meterStore, observeStore } from "./metered-store.ts";

const duration = "glasshouse_store_transaction_duration_seconds";
const clock = new SystemClock();
const ignore = (): void => undefined;
const now = "2026-01-01T00:00:10.000Z";

function event(type: NewEvent["type"], data: NewEvent["data"]): NewEvent {
  return { type, environmentId: null, subject: "templates/none@1", data };
}

describe("a store that is metered", () => {
  let directory: string;
  let plain: SqliteStore;
  let metrics: FakeMetrics;
  let store: Store;

  before(async () => {
    const log = { debug: ignore, info: ignore, warn: ignore, error: ignore };
    directory = await mkdtemp(join(tmpdir(), "glasshouse-metered-"));
    plain = await createSqliteStore({ directory, clock, log });
  });
  after(async () => {
    await plain.close();
    await rm(directory, { recursive: true, force: true });
  });

  const setUp = (over: Store = plain): void => {
    metrics = new FakeMetrics();
    store = meterStore(over, { metrics, clock });
  };

  test("says what happened to runs and steps from the events that were committed", async () => {
    setUp();
    const times = { startedAt: "2026-01-01T00:00:00.000Z", finishedAt: "2026-01-01T00:00:02.500Z" };
    const step = { ...times, phase: "apply", executor: "command", status: "failed" };
    await store.transact((tx) =>
      tx.events.append(
        [
          event("run.succeeded", { ...times, kind: "create", status: "succeeded" }),
          event("step.failed", step),
          event("step.retrying", { ...step, status: "ready" }),
          event("step.succeeded", {
            ...times,
            phase: "check",
            executor: null,
            status: "succeeded",
          }),
        ],
        now,
      ),
    );
    const run = { kind: "create", outcome: "succeeded" };
    assert.equal(metrics.sum("glasshouse_run_duration_seconds", run), 2.5);
    const failed = { executor: "command", phase: "apply", outcome: "failed" };
    assert.equal(metrics.sum("glasshouse_step_duration_seconds", failed), 2.5);
    const check = { executor: "check", outcome: "succeeded" };
    assert.equal(metrics.times("glasshouse_step_duration_seconds", check), 1);
    assert.equal(metrics.sum("glasshouse_step_retries_total", { executor: "command" }), 1);
    assert.equal(metrics.sum("glasshouse_events_total"), 4);
    assert.equal(metrics.times(duration, { kind: "write", outcome: "ok" }), 1);
  });

  test("counts nothing of a transaction that came to nothing", async () => {
    setUp();
    const refused = store.transact(async (tx) => {
      await tx.events.append([event("run.failed", { kind: "create", status: "failed" })], now);
      throw new GlasshouseError("stale-token", "another owner");
    });
    await assert.rejects(refused, { code: "stale-token" });
    assert.equal(metrics.times("glasshouse_run_duration_seconds"), 0);
    assert.equal(metrics.sum("glasshouse_stale_writes_total"), 1);
    assert.equal(metrics.times(duration, { kind: "write", outcome: "refused" }), 1);
  });

  test("counts once what a transaction did that was run again, and that it was", async () => {
    setUp({
      ...pass(plain),
      // As on PostgreSQL after a serialization failure: the first run comes to nothing.
      transact: async (fn) => {
        await plain
          .transact(async (tx) => {
            await fn(tx);
            throw new Error("serialization failure");
          })
          .catch(() => undefined);
        return plain.transact(fn);
      },
    });
    const data = { kind: "update", status: "succeeded" };
    await store.transact((tx) => tx.events.append([event("run.succeeded", data)], now));
    assert.equal(metrics.times("glasshouse_run_duration_seconds", { kind: "update" }), 1);
    assert.equal(metrics.sum("glasshouse_store_reruns_total", { kind: "write" }), 1);
  });

  test("tells a store that is down from a rule that refuses", async () => {
    setUp({
      ...pass(plain),
      read: async () => Promise.reject(new GlasshouseError("unavailable", "the store is down")),
    });
    await assert.rejects(store.read((tx) => tx.events.head()));
    assert.equal(metrics.times(duration, { kind: "read", outcome: "failed" }), 1);
  });

  test("says how long its queue is and where its journal stands", async () => {
    setUp();
    observeStore(plain, { metrics, clock });
    const head = await plain.read((tx) => tx.events.head());
    assert.deepEqual(await metrics.read("glasshouse_queue_runs"), read(0));
    assert.deepEqual(await metrics.read("glasshouse_queue_oldest_age_seconds"), read(0));
    assert.deepEqual(await metrics.read("glasshouse_journal_position"), read(head));
    assert.deepEqual(await metrics.read("glasshouse_certificates"), read(0));
    assert.deepEqual(await metrics.read("glasshouse_certificate_expiry_seconds"), []);
  });
});

function read(value: number): unknown {
  return [{ value, labels: {} }];
}

/** The store's functions, free of its class, so that one of them can be replaced. */
function pass(store: Store): Store {
  return meterStore(store, { metrics: new FakeMetrics(), clock });
}
