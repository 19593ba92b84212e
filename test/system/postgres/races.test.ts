import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { timestamp } from "../../../src/ports/clock.ts";
import type { Store, Tx } from "../../../src/ports/store.ts";
import type { PostgresStore } from "../../../src/adapters/stores/postgres/index.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import {
  anEnvironment,
  anEvent,
  aRun,
  claim,
  end,
  insertWork,
  journalOf,
  stepAt,
  withCode,
} from "../../../src/testing/store-contract-data.ts";
import { StoreServer } from "../../support/postgres-store.ts";
import { postgresSkip } from "../../support/postgres.ts";

describe("several processes on one PostgreSQL", { skip: postgresSkip }, () => {
  const clock = new FakeClock();
  let stores: StoreServer;
  before(async () => {
    stores = await StoreServer.start(clock);
  });
  after(() => stores.server.remove());

  async function among(count: number, fn: (all: readonly PostgresStore[]) => Promise<void>) {
    const database = await stores.database();
    const all = await Promise.all(
      Array.from({ length: count }, () =>
        stores.open(database, { clock, limits: { pool: 4, poolWaitMs: 60_000 } }),
      ),
    );
    try {
      await fn(all);
    } finally {
      await Promise.all(all.map((store) => store.close()));
    }
  }

  it("claim each step once, and all of them, however they race", async () => {
    await among(3, async (all) => {
      const [first] = all;
      assert.ok(first);
      for (let n = 0; n < 10; n += 1)
        await insertWork(
          { store: first, clock },
          { steps: Array.from({ length: 12 }, () => ({})), run: wide },
        );
      const taken: string[] = [];
      const work = async (store: Store, worker: string): Promise<void> => {
        for (let idle = 0; idle < 50;) {
          const claims = await claim({ store, clock }, { worker, limit: 3 });
          idle = claims.length === 0 ? idle + 1 : 0;
          taken.push(...claims.map(({ step }) => `${step.id} ${step.token}`));
        }
      };
      await Promise.all(all.flatMap((store, n) => [0, 1, 2].map((m) => work(store, `w${n}${m}`))));
      assert.equal(taken.length, 120);
      assert.equal(new Set(taken).size, 120);
    });
  });

  it("look first at a step that was ready when they saw it and has become unknown since", async () => {
    const database = await stores.database();
    const store = await stores.open(database, { clock });
    const other = new pg.Client({ connectionString: stores.server.url(database) });
    try {
      await other.connect();
      const { id } = stepAt(await insertWork({ store, clock }, { steps: [{}] }), 0);
      // Another worker had it, was lost, and its step was given up: all that is committed while the claim is under way.
      await other.query("begin");
      await other.query(`update "step" set "status" = 'unknown', "token" = 1 where "id" = $1`, [
        id,
      ]);
      const claiming = claim({ store, clock }, { worker: "late" });
      await lockWaited(stores, database);
      await other.query("commit");
      const claims = await claiming;
      const all = [...claims, ...(await claim({ store, clock }, { worker: "later" }))];
      assert.deepEqual(
        all.map(({ step, settle }) => [step.id, settle]),
        [[id, true]],
      );
    } finally {
      await other.end();
      await store.close();
    }
  });

  it("never take more of a run than its parallelism", async () => {
    await among(3, async (all) => {
      const [first] = all;
      assert.ok(first);
      const work = await insertWork(
        { store: first, clock },
        { steps: Array.from({ length: 60 }, () => ({})), run: narrow },
      );
      let most = 0;
      let done = 0;
      const drive = async (store: Store, worker: string): Promise<void> => {
        while (done < 60) {
          for (const claimed of await claim({ store, clock }, { worker, limit: 2 })) {
            const { running } = await store.read((tx) => tx.steps.counts(work.run.id));
            most = Math.max(most, running);
            await end({ store, clock }, claimed);
            done += 1;
          }
        }
      };
      await Promise.all(all.flatMap((store, n) => [0, 1].map((m) => drive(store, `w${n}${m}`))));
      assert.ok(most >= 1 && most <= 2, `${most} at once`);
    });
  });

  it("start a run once when ten try at the same time, each having read that it is queued", async () => {
    await among(10, async (all) => {
      const [first] = all;
      assert.ok(first);
      for (const kind of ["update", "plan"] as const) {
        const environment = anEnvironment(clock);
        const run = aRun(clock, environment.id, { status: "queued", kind });
        await first.transact(async (tx) => {
          await tx.environments.insert(environment);
          await tx.runs.insert(run);
        });
        const start = async (tx: Tx): Promise<boolean> => {
          if ((await tx.runs.get(run.id))?.status !== "queued") return false;
          await tx.runs.update(run.id, { status: "running" });
          return true;
        };
        const started = await Promise.all(all.map((store) => store.transact(start)));
        assert.equal(started.filter(Boolean).length, 1, kind);
      }
    });
  });

  it("lose no update of an environment and leave no gap in its sequence", async () => {
    await among(4, async (all) => {
      const [first] = all;
      assert.ok(first);
      const environment = anEnvironment(clock);
      await first.transact((tx) => tx.environments.insert(environment));
      const raise = (store: Store) =>
        store.transact(async (tx) => {
          const now = await tx.environments.find(environment.name);
          await tx.environments.update(environment.id, { generation: (now?.generation ?? 0) + 1 });
          await tx.events.append([anEvent(environment.id), anEvent(environment.id)], "t");
        });
      await Promise.all(all.flatMap((store) => Array.from({ length: 25 }, () => raise(store))));
      const after100 = await first.read((tx) => tx.environments.get(environment.id));
      assert.deepEqual([after100?.generation, after100?.sequence], [101, 200]);
      const journal = await journalOf(first, 200);
      assert.deepEqual(
        journal.map(({ sequence }) => sequence),
        Array.from({ length: 200 }, (_none, index) => index + 1),
      );
    });
  });

  it("do not come to require each other when both ask at once", async () => {
    await among(2, async (all) => {
      for (let round = 0; round < 5; round += 1) {
        const names = [`a${round}`, `b${round}`] as const;
        /** As services do: what is required must be there and must not require the one that asks. */
        const create = (store: Store, own: string, other: string) =>
          store.transact(async (tx) => {
            await tx.environments.holdRequirements();
            const required = await tx.environments.find(other);
            if (required?.description === own) return false;
            await tx.environments.insert(anEnvironment(clock, { name: own, description: other }));
            return true;
          });
        const [one, two] = all;
        assert.ok(one && two);
        const made = await Promise.all([
          create(one, names[0], names[1]),
          create(two, names[1], names[0]),
        ]);
        assert.equal(made.filter(Boolean).length, 1);
      }
    });
  });

  it("give a name to one of many that want it, and refuse the others in words", async () => {
    await among(3, async (all) => {
      const outcomes = await Promise.allSettled(
        [...all, ...all].map((store) =>
          store.transact((tx) => tx.environments.insert(anEnvironment(clock, { name: "wanted" }))),
        ),
      );
      const refused = outcomes.filter(({ status }) => status === "rejected");
      assert.equal(refused.length, 5);
      for (const outcome of refused)
        assert.ok(outcome.status === "rejected" && withCode("already-exists")(outcome.reason));
    });
  });

  it("change several environments at once in any order without standing in each other's way", async () => {
    await among(3, async (all) => {
      const [first] = all;
      assert.ok(first);
      const environments = [1, 2, 3].map(() => anEnvironment(clock));
      await first.transact(async (tx) => {
        for (const each of environments) await tx.environments.insert(each);
      });
      const mix = (store: Store, turn: number) =>
        store.transact(async (tx) => {
          for (let n = 0; n < 3; n += 1) {
            const at = environments[(turn * (n + 1) + n) % 3];
            assert.ok(at);
            await tx.events.append([anEvent(at.id)], timestamp(clock));
          }
        });
      const turns = Array.from({ length: 60 }, (_none, turn) => turn);
      await Promise.all(turns.map((turn) => mix(all[turn % 3] ?? first, turn)));
      assert.equal((await journalOf(first, 180)).length, 180);
      const deadlocks = await stores.server.query(
        `select sum("deadlocks")::int as "count" from pg_stat_database`,
      );
      assert.deepEqual(deadlocks, [{ count: 0 }]);
    });
  });

  it("are woken by what another of them commits", async () => {
    await among(2, async ([one, two]) => {
      assert.ok(one && two);
      const environment = anEnvironment(clock);
      await one.transact((tx) => tx.environments.insert(environment));
      const woken = (topic: "queue" | "journal") =>
        new Promise<number>((resolve) => {
          const from = performance.now();
          two.watch(topic, () => resolve(performance.now() - from));
        });
      const queue = woken("queue");
      await one.transact((tx) => tx.runs.insert(aRun(clock, environment.id)));
      assert.ok((await queue) < 2_000, "the queue was polled for");
      const journal = woken("journal");
      await one.transact((tx) => tx.events.append([anEvent(environment.id)], "t"));
      assert.ok((await journal) < 2_000, "the journal was polled for");
      assert.equal((await two.read((tx) => tx.events.after(0, { limit: 10 }))).length, 1);
    });
  });
});

const wide = { options: { deferred: "safe", parallelism: 100 } } as const;
const narrow = { options: { deferred: "safe", parallelism: 2 } } as const;

/** Resolves when a statement in the database waits for what another holds. */
async function lockWaited({ server }: StoreServer, database: string): Promise<void> {
  const waiting = `select 1 from pg_stat_activity where datname = '${database}' and wait_event_type = 'Lock'`;
  while ((await server.query(waiting)).length === 0) await sleep(10);
}
