import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { PostgresStore } from "../../../src/adapters/stores/postgres/index.ts";
import { timestamp } from "../../../src/ports/clock.ts";
import type { Claim } from "../../../src/ports/work.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import { fakeExecutor } from "../../../src/testing/fake-executor.ts";
import { aWorker, insertWork } from "../../../src/testing/store-contract-data.ts";
import { StoreServer } from "../../support/postgres-store.ts";
import { postgresSkip } from "../../support/postgres.ts";
import { TcpProxy } from "../../support/proxy.ts";
import { createServiceWorld, plainYaml } from "../../support/services.ts";

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

  it("are two for a command that makes an environment, and with them its first step is claimed", async () => {
    const stores = await StoreServer.start(clock);
    const begun = Promise.withResolvers<void>();
    const executor = fakeExecutor({
      act: async ({ environment }) => (environment.name === "told" ? begun.resolve() : undefined),
    });
    const through = await Through.open(stores);
    const url = through.url(await stores.database());
    const world = await createServiceWorld({
      start: true,
      executors: [executor],
      open: (own) => stores.open("", { clock: own, url }),
    });
    try {
      await world.register(plainYaml());
      const create = (name: string) =>
        world.send(
          "environment.create",
          name,
          { template: "plain", name },
          { id: `id-of-${name}` },
        );
      // What is prepared once on a connection is sent as a text before.
      for (const name of ["one", "two", "three"])
        await world.ended((await create(name)).runId ?? "");
      const named = through.count(Buffer.from("told"));
      const sent = create("told");
      await begun.promise;
      assert.equal(named(), 2);
      await world.ended((await sent).runId ?? "");
      // Whoever sends it again is told the same.
      assert.equal((await create("told")).id, (await sent).id);
    } finally {
      await world.close();
      await through.close();
      await stores.server.remove();
    }
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
  const through = await Through.open(stores);
  const store = await stores.open("", { clock, url: through.url(await stores.database()) });
  try {
    await fn(store, async (work) => {
      const ways = through.count(sync);
      await work();
      return ways();
    });
  } finally {
    await store.close();
    await through.close();
    await stores.server.remove();
  }
}

/** A way to the server on which what is sent is seen: what goes out together comes as one. */
class Through {
  readonly #stores: StoreServer;
  readonly #proxy: TcpProxy;
  #sent: Buffer[] = [];

  private constructor(stores: StoreServer, proxy: TcpProxy) {
    this.#stores = stores;
    this.#proxy = proxy;
    proxy.see("toServer", () => (chunk) => {
      if (chunk.subarray(-sync.length).equals(sync)) this.#sent.push(chunk);
      return chunk;
    });
  }

  static async open(stores: StoreServer): Promise<Through> {
    return new Through(stores, await TcpProxy.open(stores.server.port));
  }

  url(database: string): string {
    const { server } = this.#stores;
    return server.url(database).replace(`:${server.port}/`, `:${this.#proxy.port}/`);
  }

  /** From now on; gives how many ways with these bytes there were. */
  count(bytes: Buffer): () => number {
    this.#sent = [];
    return () => this.#sent.filter((chunk) => chunk.includes(bytes)).length;
  }

  close(): Promise<void> {
    return this.#proxy.close();
  }
}
