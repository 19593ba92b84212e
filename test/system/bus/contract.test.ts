import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Connection } from "rabbitmq-client";
import { AmqpBus } from "../../../src/adapters/buses/amqp/bus.ts";
import type { AmqpTimes } from "../../../src/adapters/buses/amqp/settings.ts";
import { SystemClock } from "../../../src/adapters/clock/system/index.ts";
import { noMetrics } from "../../../src/ports/telemetry.ts";
import { createLog } from "../../../src/adapters/telemetry/lines/index.ts";
import { busNames } from "../../../src/contract/bus.ts";
import type { BusMessage } from "../../../src/ports/bus.ts";
import { busContract, type OpenBus } from "../../../src/testing/bus-contract.ts";
import { Rabbitmq, rabbitmqSkip } from "../../support/rabbitmq.ts";
import { until } from "../../support/site.ts";

const parked = { outcome: "parked", reason: "unavailable", detail: "", reply: null } as const;

suite("over RabbitMQ", { skip: rabbitmqSkip }, () => {
  let broker: Rabbitmq;
  let vhosts = 0;
  before(async () => {
    broker = await Rabbitmq.start();
  });
  after(() => broker.close());

  busContract("amqp", () => open());

  test("a store that is down for long gives all commands back once, and they are taken when it is up", async () => {
    const opened = await open({ times: { holdMs: 500 } });
    try {
      let isUp = false;
      const taken: string[] = [];
      opened.bus.consume(async ({ body }) => {
        if (!isUp) return { outcome: "again", error: new Error("down"), otherwise: null };
        taken.push(Buffer.from(body).toString());
        return { outcome: "taken", reply: null };
      });
      for (const text of ["one", "two", "three"]) await opened.offer(text);
      // All are back in the queue, where another replica could take them.
      const args = ["-p", opened.vhost, "name", "messages_ready", "consumers"];
      await until(
        () => broker.control(["list_queues", ...args]),
        (seen) => /glasshouse\.commands\s+3\s+0/u.test(seen),
      );
      isUp = true;
      await until(
        async () => new Set(taken),
        (seen) => seen.size === 3,
      );
      assert.equal((await opened.bus.redrive({ reason: null, limit: 10, dryRun: true })).left, 0);
    } finally {
      await opened.close();
    }
  });

  test("a command that only its own need is in the way of does not hold up others, and is laid down after a while", async () => {
    const opened = await open({ times: { holdMs: 500 } });
    try {
      const taken: string[] = [];
      opened.bus.consume(async ({ body }) => {
        const text = Buffer.from(body).toString();
        if (text === "stuck") {
          return { outcome: "again", error: new Error("its host is down"), otherwise: parked };
        }
        taken.push(text);
        return { outcome: "taken", reply: null };
      });
      for (const text of ["stuck", "one", "two"]) await opened.offer(text);
      await until(
        async () => taken,
        (seen) => seen.length === 2,
      );
      const { reasons } = await until(
        () => opened.bus.redrive({ reason: null, limit: 10, dryRun: true }),
        ({ left }) => left === 1,
      );
      assert.deepEqual(reasons, { unavailable: 1 });
    } finally {
      await opened.close();
    }
  });

  test("a command whose first try takes longer than that, as when the process was stopped, has a second one", async () => {
    const opened = await open({ times: { holdMs: 300 } });
    try {
      let tries = 0;
      opened.bus.consume(async () => {
        tries += 1;
        if (tries > 1) return { outcome: "taken", reply: null };
        await sleep(400);
        return { outcome: "again", error: new Error("too late"), otherwise: parked };
      });
      await opened.offer("slow");
      await until(
        async () => tries,
        (seen) => seen > 1,
      );
      assert.equal((await opened.bus.redrive({ reason: null, limit: 10, dryRun: true })).left, 0);
    } finally {
      await opened.close();
    }
  });

  test("a command that kills whoever takes it is laid down by the broker after its last delivery", async () => {
    const opened = await open({ deliveryLimit: 3 });
    try {
      await opened.bus.close();
      await opened.offer("deadly");
      const connection = new Connection({ url: opened.url });
      let deliveries = 0;
      for (; deliveries < 10; deliveries += 1) {
        const channel = await connection.acquire();
        const message = await channel.basicGet({ queue: busNames.commandQueue });
        await channel.close();
        if (message === undefined) break;
      }
      await connection.close();
      assert.equal(deliveries, 4);
      const next = await open({ vhost: opened.vhost, deliveryLimit: 3 });
      const { reasons } = await until(
        () => next.bus.redrive({ reason: null, limit: 10, dryRun: true }),
        ({ left }) => left === 1,
      );
      assert.deepEqual(reasons, { "delivery-limit": 1 });
      await next.close();
    } finally {
      await opened.close();
    }
  });

  test("a queue that was made with other limits, and a user that may declare nothing, are worked with as they are", async () => {
    const first = await open({ maxLength: 7 });
    await broker.control(["add_user", "poor", "poor"]);
    const rights = [
      "^$",
      String.raw`^(amq\.default|glasshouse\..*)$`,
      String.raw`^glasshouse\..*$`,
    ];
    await broker.control(["set_permissions", "-p", first.vhost, "poor", ...rights]);
    const poor = await open({ vhost: first.vhost, user: "poor", maxLength: 8 });
    try {
      const taken: string[] = [];
      const rich = await open({ vhost: first.vhost, maxLength: 8 });
      await first.bus.close();
      assert.match((await rich.bus.status()).advice ?? "", /is used as it is/u);
      await rich.close();
      poor.bus.consume(async ({ body }) => {
        taken.push(Buffer.from(body).toString());
        return { outcome: "parked", reason: "test", detail: "", reply: null };
      });
      await first.offer("one");
      await until(
        () => poor.bus.redrive({ reason: null, limit: 10, dryRun: true }),
        ({ left }) => left === 1,
      );
      assert.deepEqual(taken, ["one"]);
      assert.match((await poor.bus.status()).advice ?? "", /is used as it is/u);
    } finally {
      await poor.close();
      await first.close();
    }
  });

  interface Opening {
    readonly times?: Partial<AmqpTimes>;
    readonly vhost?: string;
    readonly user?: string;
    readonly maxLength?: number;
    readonly deliveryLimit?: number;
  }

  /** In a virtual host of its own. */
  async function open(
    opening: Opening = {},
  ): Promise<OpenBus & { readonly vhost: string; readonly url: string }> {
    const vhost = opening.vhost ?? `contract-${(vhosts += 1)}`;
    if (opening.vhost === undefined) {
      await broker.control(["add_vhost", vhost]);
      await broker.control(["set_permissions", "-p", vhost, "guest", ".*", ".*", ".*"]);
    }
    const user = opening.user ?? "guest";
    const bus = new AmqpBus(
      {
        settings: {
          hosts: [`127.0.0.1:${broker.portOf(0)}`],
          vhost,
          prefetch: 10,
          maxLength: opening.maxLength ?? 1_000,
          deliveryLimit: opening.deliveryLimit ?? 20,
        },
        credentials: async () => ({ username: user, password: user, tls: null }),
        watchCredentials: () => () => undefined,
        prove: (text) => `proof of ${text}`,
        clock: new SystemClock(),
        log: createLog({ level: "silent", format: "json" }),
        metrics: noMetrics,
        connection: { up: () => undefined, down: () => undefined },
      },
      opening.times,
    );
    await bus.start();
    await until(
      () =>
        bus
          .publish([])
          .then(() => bus.redrive({ reason: null, limit: 1, dryRun: true }))
          .catch(() => null),
      (seen) => seen !== null,
    );
    const url = `${broker.url}/${vhost}`;
    const outside = new Connection({ url });
    outside.on("error", () => undefined);
    const publisher = outside.createPublisher({ confirm: true });
    const answers = `answers.${randomUUID()}`;
    return {
      bus,
      vhost,
      url,
      answers,
      async offer(text, more: Partial<BusMessage> = {}) {
        const { replyTo, correlationId } = more;
        await publisher.send(
          {
            exchange: busNames.commands,
            routingKey: "test",
            durable: true,
            contentType: "application/cloudevents+json",
            ...(replyTo == null ? {} : { replyTo }),
            ...(correlationId == null ? {} : { correlationId }),
          },
          Buffer.from(text),
        );
      },
      async listen(queue) {
        const heard: string[] = [];
        const isEvents = queue === "events";
        const consumer = outside.createConsumer(
          {
            queue: isEvents ? "events" : answers,
            ...(isEvents
              ? { queueBindings: [{ exchange: busNames.events, routingKey: "#" }] }
              : {}),
          },
          async ({ body }) => void heard.push(String(body)),
        );
        await new Promise<void>((resolve) => {
          consumer.once("ready", resolve);
        });
        return heard;
      },
      async close() {
        outside.unsafeDestroy();
        await bus.close();
      },
    };
  }
});
