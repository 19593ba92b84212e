import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { busNames } from "../../../src/contract/bus.ts";
import { registerLoad } from "../../support/bus-load.ts";
import { openBusSite, type BusSite } from "../../support/bus-site.ts";
import { metricOf } from "../../support/metrics.ts";
import { rabbitmqSkip } from "../../support/rabbitmq.ts";
import { until } from "../../support/site.ts";

suite("the metrics of the bus", { skip: rabbitmqSkip }, () => {
  let at: BusSite;
  before(async () => {
    at = await openBusSite();
    await registerLoad(at.site);
  });
  after(() => at.close());

  const metric = (...of: Tail<Parameters<typeof metricOf>>) => metricOf(at.site.server, ...of);
  const order = (name: string) =>
    at.client.send({ type: "environment.create", data: { name, template: "load" } });

  test("count what came in, what went out, and what is dead", async () => {
    const { client } = at;
    const id = await order("one");
    await client.reply(id, "command.completed");
    await client.raw(Buffer.from("{"), {});
    await until(
      () => metric("glasshouse_bus_queue_messages", { queue: "dead" }),
      (dead) => dead === 1,
    );
    assert.equal(await metric("glasshouse_bus_received_total", { outcome: "taken" }), 1);
    assert.equal(await metric("glasshouse_bus_received_total", { outcome: "parked" }), 1);
    assert.equal(await metric("glasshouse_bus_queue_messages", { queue: "commands" }), 0);
    const sent = (message: string) =>
      metric("glasshouse_bus_sent_total", { message, outcome: "sent" });
    assert.equal(await sent("reply"), 2, "that it was accepted, and that it is done");
    assert.equal(await sent("dead-letter"), 1);
    assert.ok(((await sent("event")) ?? 0) > 0);
    assert.equal(await metric("glasshouse_bus_redelivered_total"), null, "nothing came twice");
    await until(
      () => metric("glasshouse_bus_outbox_events"),
      (behind) => behind === 0,
    );
  });

  test("count an answer that found no queue", async () => {
    const properties = { replyTo: "nobody.listens", correlationId: "x" };
    const data = { name: "unheard", template: "load" };
    await at.client.send({ type: "environment.create", data, properties });
    await until(
      () => metric("glasshouse_bus_sent_total", { message: "reply", outcome: "returned" }),
      (returned) => returned === 2,
    );
  });

  test("count what waits to go out while the broker is away", async () => {
    const { broker, site } = at;
    await broker.stop();
    await site.create("meanwhile", "load");
    const behind = await until(
      () => metric("glasshouse_bus_outbox_events"),
      (seen) => (seen ?? 0) > 0,
    );
    assert.ok(behind !== null && behind >= 3);
    await broker.start();
    await until(
      () => metric("glasshouse_bus_outbox_events"),
      (seen) => seen === 0,
    );
  });

  test("count what had been delivered before", async () => {
    const { client, site } = at;
    await site.server.stop();
    const id = await order("again");
    const channel = await client.connection.acquire();
    const { deliveryTag } = (await channel.basicGet(busNames.commandQueue)) ?? {};
    assert.ok(deliveryTag !== undefined);
    await channel.close();
    await site.start();
    await client.reply(id, "command.completed");
    assert.equal(await metric("glasshouse_bus_redelivered_total"), 1);
    assert.equal(await metric("glasshouse_bus_received_total", { outcome: "taken" }), 1);
  });
});

type Tail<T extends readonly unknown[]> = T extends readonly [unknown, ...infer Rest] ? Rest : [];
