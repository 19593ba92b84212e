import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { BusClient } from "../../support/bus-client.ts";
import { orderMany } from "../../support/bus-load.ts";
import { Cluster } from "../../support/cluster.ts";
import { journalFaults, journalOf } from "../../support/crash-judge.ts";
import { postgresSkip, TestPostgres } from "../../support/postgres.ts";
import { Rabbitmq, rabbitmqSkip } from "../../support/rabbitmq.ts";

const skip = postgresSkip === false ? rabbitmqSkip : postgresSkip;

test(
  "three replicas on one PostgreSQL share commands, and the journal goes out whole when its owner is killed",
  { skip },
  async () => {
    const postgres = await TestPostgres.start();
    const broker = await Rabbitmq.start();
    const database = await postgres.createDatabase();
    const cluster = await Cluster.prepare({
      replicas: 3,
      store: { port: postgres.port, url: (port) => withPort(postgres.url(database), port) },
      bus: { port: broker.portOf(0), url: (port) => `amqp://guest:guest@127.0.0.1:${port}` },
    });
    const client = new BusClient(broker.url);
    try {
      await client.listen();
      await cluster.start();
      await cluster.register({ name: "load", groups: 1, width: 1 });
      const ordering = orderMany(client, { prefix: "r", count: 60, everyMs: 250 });
      for (const replica of cluster.replicas) {
        await sleep(3_000);
        await replica.kill();
        await sleep(1_000);
        await replica.start();
      }
      const orders = await ordering;
      for (const [name, id] of orders) {
        await client.reply(id, "command.completed", 120_000);
        const journal = await journalOf(cluster.any, name);
        assert.deepEqual(journalFaults(journal), []);
        await client.until(() => client.toldOf(name) === journal.length, `all events of ${name}`);
      }
      const made = (await cluster.ledger.entries()).filter(({ what }) => what === "created");
      assert.deepEqual(
        made.map(({ environment }) => environment).toSorted(),
        [...orders.keys()].toSorted(),
      );
      const bus = z.object({ behind: z.number(), dead: z.number() });
      const { behind, dead } = bus.parse(await cluster.any.request("GET", "/api/v1/bus"));
      assert.deepEqual({ behind, dead }, { behind: 0, dead: 0 });
    } finally {
      client.connection.unsafeDestroy();
      await cluster.close();
      await broker.close();
      await postgres.remove();
    }
  },
);

function withPort(url: string, port: number): string {
  const moved = new URL(url);
  moved.port = String(port);
  return moved.href;
}
