import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { without } from "../../support/amqp-frames.ts";
import { loadComplaints, orderMany, registerLoad } from "../../support/bus-load.ts";
import { openBusSite, type BusSite } from "../../support/bus-site.ts";
import { TcpProxy } from "../../support/proxy.ts";
import { rabbitmqSkip, type Rabbitmq } from "../../support/rabbitmq.ts";

const options = { skip: rabbitmqSkip };

async function withSite(
  run: (at: BusSite) => Promise<void>,
  open: () => Promise<BusSite> = openBusSite,
): Promise<void> {
  const at = await open();
  try {
    await registerLoad(at.site);
    await run(at);
  } catch (error) {
    throw new Error(`${String(error)}\n${at.site.server.output.slice(-4_000)}`, { cause: error });
  } finally {
    await at.close();
  }
}

test(
  "a broker that is stopped, and one that is killed, under load loses and doubles nothing",
  options,
  () =>
    withSite(async (at) => {
      const ordering = orderMany(at.client, { prefix: "s", count: 40, everyMs: 400 });
      await sleep(2_000);
      await at.broker.stop();
      await sleep(1_000);
      await at.broker.start();
      await sleep(2_000);
      await at.broker.kill();
      await sleep(500);
      await at.broker.start();
      assert.deepEqual(await loadComplaints(at, await ordering), []);
    }),
);

test(
  "a server that is killed before it has acknowledged leaves its commands to the next one, once each",
  options,
  () =>
    withSite(async (at) => {
      for (const round of [0, 1, 2]) {
        const ordering = orderMany(at.client, { prefix: `k${round}`, count: 20, everyMs: 20 });
        await sleep(250 + round * 60);
        at.site.server.kill();
        await at.site.server.ended;
        await at.site.start();
        assert.deepEqual(await loadComplaints(at, await ordering), []);
      }
    }),
);

test(
  "a broker that stands still for longer than heartbeats allow is gone on with when it is back",
  options,
  () =>
    withSite(async (at) => {
      const ordering = orderMany(at.client, { prefix: "p", count: 20, everyMs: 200 });
      await sleep(1_000);
      at.broker.pause();
      await sleep(25_000);
      at.broker.resume();
      assert.deepEqual(await loadComplaints(at, await ordering), []);
    }),
);

test("confirms that never come are not waited for: everything is sent again", options, () =>
  withLostAnswers("ack", async (at, meal) => {
    meal.hungry = true;
    const ordering = orderMany(at.client, { prefix: "c", count: 10, everyMs: 50 });
    await at.client.until(() => meal.eaten > 10, "confirms that are eaten");
    await sleep(1_000);
    meal.hungry = false;
    assert.deepEqual(await loadComplaints(at, await ordering), []);
  }),
);

test("a queue that never answers its consumer is consumed again", options, () =>
  withLostAnswers("consume-ok", async (at, meal) => {
    meal.hungry = true;
    meal.cut();
    await at.client.until(() => meal.eaten > 0, "an answer that is eaten");
    meal.hungry = false;
    const ordering = orderMany(at.client, { prefix: "q", count: 3, everyMs: 50 });
    assert.deepEqual(await loadComplaints(at, await ordering), []);
  }),
);

interface Meal {
  hungry: boolean;
  eaten: number;
  /** Ends the server's connections to the broker. */
  cut(): void;
}

/** The server's way to the broker loses answers of one kind while it is hungry. */
async function withLostAnswers(
  kind: Parameters<typeof without>[0][number],
  run: (at: BusSite, meal: Meal) => Promise<void>,
): Promise<void> {
  const opened: { proxy: TcpProxy | null } = { proxy: null };
  const meal: Meal = { hungry: false, eaten: 0, cut: () => opened.proxy?.cut() };
  const url = async (broker: Rabbitmq): Promise<string> => {
    const proxy = await TcpProxy.open(broker.portOf(0));
    opened.proxy = proxy;
    proxy.see(
      "toClient",
      without(
        [kind],
        () => meal.hungry,
        () => (meal.eaten += 1),
      ),
    );
    return `amqp://guest:guest@127.0.0.1:${proxy.port}`;
  };
  try {
    await withSite(
      (at) => run(at, meal),
      () => openBusSite({}, { url }),
    );
  } finally {
    await opened.proxy?.close();
  }
}

test("a broker of three nodes that loses its leader loses nothing else", options, () =>
  withSite(
    async (at) => {
      const ordering = orderMany(at.client, { prefix: "l", count: 30, everyMs: 300 });
      await sleep(2_000);
      await at.broker.kill(0);
      await sleep(4_000);
      await at.broker.start(0);
      assert.deepEqual(await loadComplaints(at, await ordering), []);
    },
    () => openBusSite({}, { broker: { nodes: 3 }, url: (broker) => broker.urls }),
  ),
);

for (const handling of ["pause_minority", "ignore"])
  test(
    `a node that is parted from its cluster is left for another one (${handling})`,
    options,
    () =>
      withSite(
        async (at) => {
          const node = await at.broker.nodeOf("glasshouse");
          const ordering = orderMany(at.client, { prefix: "m", count: 30, everyMs: 200 });
          await sleep(1_000);
          await at.broker.part(node);
          // With `ignore` nothing tells of it until there is something to tell: no confirmation comes then.
          assert.equal((await at.site.create("by-rest", "load")).status, "succeeded");
          assert.deepEqual(await loadComplaints(at, await ordering), [], "while it is parted");
          assert.notEqual(await at.broker.nodeOf("glasshouse", (node + 1) % 3), node);
          await at.broker.join(node);
          const more = orderMany(at.client, { prefix: "j", count: 10, everyMs: 200 });
          assert.deepEqual(await loadComplaints(at, await more), [], "when it is joined again");
        },
        () =>
          openBusSite(
            {},
            {
              broker: { nodes: 3, configuration: [`cluster_partition_handling = ${handling}`] },
              url: (broker) => broker.urls,
              clientUrl: async (broker) => broker.urlsWithout(await broker.nodeOf("glasshouse")),
            },
          ),
      ),
  );
