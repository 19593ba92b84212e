import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { PostgresStore } from "../../../src/adapters/stores/postgres/index.ts";
import { timestamp } from "../../../src/ports/clock.ts";
import type { Claim } from "../../../src/ports/work.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import { aWorker, insertWork } from "../../../src/testing/store-contract-data.ts";
import { StoreServer } from "../../support/postgres-store.ts";
import { postgresSkip } from "../../support/postgres.ts";
import { TcpProxy } from "../../support/proxy.ts";

/** A program that asks for answers ends what it sends with this message. */
const sync = Buffer.from([0x53, 0, 0, 0, 4]);
const worker = "wrk_1";
const clock = new FakeClock();

describe("ways to PostgreSQL and back", { skip: postgresSkip }, () => {
  it("are hardly more for many claims of a long list than for one", async () => {
    await withCounted(async (store, counted) => {
      await store.transact((tx) => tx.workers.put(aWorker(clock, { id: worker }), null));
      const steps = Array.from({ length: 8 }, () => ({}));
      for (let runs = 0; runs < 24; runs += 1) await insertWork({ store, clock }, { steps });
      // What is told to other processes meanwhile is counted too.
      const tries: number[] = [];
      while (tries.length < 4)
        tries.push(await counted(async () => assert.equal((await claimSome(store, 1)).length, 1)));
      const one = Math.min(...tries);
      // Once round, and the rest of the places in a second round.
      const many = await counted(async () => {
        const runs = new Set((await claimSome(store, 30)).map(({ step }) => step.runId));
        assert.equal(runs.size, 24);
      });
      assert.ok(one <= 6, `${one} ways for one claim`);
      assert.ok(many <= one + 4, `${one} ways for one claim, ${many} for 30`);
    });
  });
});

function claimSome(store: PostgresStore, limit: number): Promise<readonly Claim[]> {
  const request = { worker, now: timestamp(clock), limit, places: {}, labels: [] };
  return store.transact((tx) => tx.steps.claim(request), { brief: true });
}

type Counted = (fn: () => Promise<void>) => Promise<number>;

/** With a store, and what counts the ways that it goes meanwhile. */
async function withCounted(fn: (store: PostgresStore, counted: Counted) => Promise<void>) {
  const stores = await StoreServer.start(clock);
  const { port } = stores.server;
  const proxy = await TcpProxy.open(port);
  let ways = 0;
  proxy.see("toServer", () => (chunk) => {
    if (chunk.subarray(-sync.length).equals(sync)) ways += 1;
    return chunk;
  });
  const url = stores.server.url(await stores.database()).replace(`:${port}/`, `:${proxy.port}/`);
  const store = await stores.open("", { clock, url });
  try {
    await fn(store, async (work) => {
      const before = ways;
      await work();
      return ways - before;
    });
  } finally {
    await store.close();
    await proxy.close();
    await stores.server.remove();
  }
}
