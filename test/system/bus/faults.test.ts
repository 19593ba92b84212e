import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { confirmEater } from "../../support/amqp-lens.ts";
import { loadComplaints, orderMany, registerLoad } from "../../support/bus-load.ts";
import { openBusSite, type BusSite } from "../../support/bus-site.ts";
import { TcpProxy } from "../../support/proxy.ts";
import { rabbitmqSkip } from "../../support/rabbitmq.ts";

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

test("confirms that never come are not waited for: everything is sent again", options, async () => {
  const meal = { hungry: false, eaten: 0 };
  const opened: { proxy: TcpProxy | null } = { proxy: null };
  const eater = confirmEater(
    () => meal.hungry,
    () => (meal.eaten += 1),
  );
  const open = () =>
    openBusSite(
      {},
      {
        async url(broker) {
          const proxy = await TcpProxy.open(broker.portOf(0));
          opened.proxy = proxy;
          proxy.see("toClient", eater);
          return `amqp://guest:guest@127.0.0.1:${proxy.port}`;
        },
      },
    );
  try {
    await withSite(async (at) => {
      meal.hungry = true;
      const ordering = orderMany(at.client, { prefix: "c", count: 10, everyMs: 50 });
      await at.client.until(() => meal.eaten > 10, "confirms that are eaten");
      await sleep(1_000);
      meal.hungry = false;
      assert.deepEqual(await loadComplaints(at, await ordering), []);
    }, open);
  } finally {
    await opened.proxy?.close();
  }
});

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
