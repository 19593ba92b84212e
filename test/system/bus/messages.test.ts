import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { z } from "zod";
import { busNames, deadHeaders } from "../../../src/contract/bus.ts";
import { busView, redrivenView } from "../../../src/contract/rest-bus.ts";
import { loadComplaints, orderMany, registerLoad } from "../../support/bus-load.ts";
import { openBusSite, type BusSite } from "../../support/bus-site.ts";
import { rabbitmqSkip } from "../../support/rabbitmq.ts";
import { TestServer } from "../../support/server.ts";
import { until } from "../../support/site.ts";

suite("messages of the bus", { skip: rabbitmqSkip }, () => {
  let at: BusSite;
  before(async () => {
    at = await openBusSite({}, {});
    await registerLoad(at.site);
  });
  after(() => at.close());

  test("that come three times take effect once, and each is answered", async () => {
    const { client } = at;
    const orders = new Map<string, string>();
    for (let round = 0; round < 3; round += 1) {
      const sent = await orderMany(client, { prefix: "d", count: 10 });
      for (const [name, id] of sent) orders.set(name, id);
    }
    assert.deepEqual(await loadComplaints(at, orders), []);
    for (const id of orders.values()) {
      const answers = await until(
        async () => client.repliesOf(id),
        (seen) => seen.length >= 4,
      );
      assert.equal(new Set(answers.map(({ data }) => data.id)).size, 1);
    }
  });

  test("with the id of another command are refused, and laid down", async () => {
    const { client } = at;
    const first = { type: "environment.create", data: { name: "reused", template: "load" } };
    const id = await client.send(first);
    await client.reply(id, "command.completed");
    await client.send({ ...first, id, data: { name: "other", template: "load" } });
    const { data } = await client.reply(id, "command.refused");
    assert.equal(data.error?.code, "command-reused");
    await deadWith("command-reused");
    await at.site.refused("GET", "/environments/other");
  });

  test("of every bad kind are refused beside good ones, and lie with the dead letters with their reason", async () => {
    const { client } = at;
    const envelope = { replyTo: client.replyTo, correlationId: "bad" };
    const command = {
      specversion: "1.0",
      id: "x",
      source: "s",
      type: "environment.create",
    };
    const deep = `{"specversion":"1.0","data":${"[".repeat(100)}${"]".repeat(100)}}`;
    const bad: readonly (readonly [string, string | Buffer, object?])[] = [
      ["not-json", '{"specversion":'],
      ["not-json", Buffer.from([0xff, 0xfe, 0x00])],
      ["not-json", deep],
      ["not-json", '{"__proto__":{"a":1}}'],
      ["not-a-command", "[]"],
      ["not-a-command", "null"],
      ["not-a-command", JSON.stringify({ ...command, specversion: "0.3" })],
      ["not-a-command", JSON.stringify({ ...command, id: undefined })],
      ["not-a-command", JSON.stringify(command), { contentType: "application/xml" }],
      ["invalid-request", JSON.stringify({ ...command, type: "environment.creat" })],
      ["invalid-request", JSON.stringify({ ...command, data: { name: "UPPER" } })],
      ["foreign-source", JSON.stringify({ ...command, source: "glasshouse/lifetime" })],
      ["too-large", JSON.stringify({ ...command, data: { text: "x".repeat(300_000) } })],
      // RabbitMQ 4 itself takes nothing over 16 MiB.
      ["too-large", Buffer.alloc(16_000_000, 120)],
      ["foreign-reply-to", JSON.stringify(command), { replyTo: busNames.commandQueue }],
      ["not-available", JSON.stringify({ ...command, type: "environment.extend" })],
    ];
    const good = orderMany(client, { prefix: "g", count: 10, everyMs: 50 });
    for (const [, body, more] of bad) await client.raw(Buffer.from(body), { ...envelope, ...more });
    assert.deepEqual(await loadComplaints(at, await good), []);
    const wanted: Record<string, number> = {};
    for (const [reason] of bad) wanted[reason] = (wanted[reason] ?? 0) + 1;
    const reasons = await until(
      async () => (await redrive({ dryRun: true })).reasons,
      (seen) => Object.entries(wanted).every(([reason, count]) => (seen[reason] ?? 0) >= count),
    );
    for (const [reason, count] of Object.entries(wanted)) assert.equal(reasons[reason], count);
    // All but the one that names no queue of its own were answered.
    await client.until(() => answersTo("bad") === bad.length - 1, "answers to bad messages");
    const health = z.object({
      dependencies: z.array(z.object({ name: z.string(), advice: z.string().nullable() })),
    });
    const { dependencies } = health.parse(await at.site.get("/health"));
    assert.match(dependencies.find(({ name }) => name === "bus")?.advice ?? "", /bus redrive/u);
  });

  test("whose answer nobody takes are worked off all the same", async () => {
    const id = await at.client.send({
      type: "environment.create",
      data: { name: "unheard", template: "load" },
      properties: { replyTo: "test.nobody" },
    });
    await at.client.until(
      () =>
        at.client.events.find(
          ({ commandid, type }) =>
            commandid !== undefined &&
            type === "command.completed" &&
            at.client.toldOf("unheard") > 5,
        ),
      "the end of what nobody waits for",
    );
    assert.equal((await at.site.environment("unheard")).status, "deployed-ok");
    assert.deepEqual(at.client.repliesOf(id), []);
  });

  test("that died of what is mended now are moved back by `bus redrive`, and taken", async () => {
    const { client } = at;
    const data = { name: "revived", template: "not-yet" };
    const { broker } = at;
    const id = "revived";
    const body = { specversion: "1.0", id, source: "https://t.example.com" };
    // What the inbox keeps is answered and not laid down; this one is laid down as an operator's mistake would be.
    const envelope = { replyTo: client.replyTo, correlationId: id, messageId: id, userId: "guest" };
    await client.connection.createPublisher({ confirm: true }).send(
      {
        routingKey: busNames.deadLetters,
        durable: true,
        contentType: "application/cloudevents+json",
        headers: { [deadHeaders.reason]: "mended", [deadHeaders.routingKey]: "environment.create" },
        ...envelope,
      },
      Buffer.from(JSON.stringify({ ...body, type: "environment.create", data })),
    );
    await at.site.register({ name: "not-yet", groups: { web: "1" } });
    await deadWith("mended");
    const dead = (await redrive({ dryRun: true })).left;
    const program = join(import.meta.dirname, "..", "..", "..", "bin", "glasshouse");
    const args = ["bus", "redrive", "--reason", "mended", "--server", at.site.server.url];
    const { stdout } = await promisify(execFile)(program, args);
    assert.match(stdout, new RegExp(`1 moved back to the commands, ${dead - 1} left`, "u"));
    await client.reply(id, "command.completed");
    const again = await promisify(execFile)(program, [
      "bus",
      "redrive",
      "--reason",
      "not-json",
      "--server",
      at.site.server.url,
    ]);
    assert.match(again.stdout, /4 moved/u);
    await until(
      async () => (await redrive({ dryRun: true })).reasons["not-json"],
      (count) => count === 4,
    );
    const shown = await promisify(execFile)(program, [
      "bus",
      "show",
      "-o",
      "json",
      "--server",
      at.site.server.url,
    ]);
    const bus = busView.parse(JSON.parse(shown.stdout));
    assert.equal(bus.kind, "amqp");
    assert.equal(bus.dead, dead - 1);
    assert.match(
      await broker.control(["list_queues", "name", "messages"]),
      /glasshouse\.commands\s+0/u,
    );
  });

  test("of a sender that the broker vouches for carry its name", async () => {
    const { client } = at;
    const id = await client.send({
      type: "environment.create",
      data: { name: "vouched", template: "load" },
      more: { actor: "alice", traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01` },
      properties: { userId: "guest" },
    });
    const { data } = await client.reply(id, "command.completed");
    assert.deepEqual(
      [data.id === null ? null : data.actor, data.id === null ? null : data.sender],
      ["alice", "guest"],
    );
    const told = client.events.find((event) => event.commandid === data.id);
    assert.match(told?.traceparent ?? "", /^00-a{32}/u);
  });

  test("are shared by two servers at one broker", async () => {
    const data = join(at.site.directory, "second");
    const second = await TestServer.start({ data, env: { GLASSHOUSE_BUS_URL: at.broker.url } });
    try {
      const archive = await at.site.archive({ name: "load", groups: { web: "1" } });
      await second.request("POST", "/api/v1/templates", archive);
      await sleep(1_000);
      const orders = await orderMany(at.client, { prefix: "two", count: 40 });
      for (const id of orders.values()) await at.client.reply(id, "command.completed");
      const names = z.object({ items: z.array(z.object({ name: z.string() })) });
      const path = "/environments?limit=500";
      const mine = names.parse(await at.site.get(path)).items;
      const theirs = names.parse(await second.request("GET", `/api/v1${path}`)).items;
      const counts = [mine, theirs].map(
        (items) => items.filter(({ name }) => orders.has(name)).length,
      );
      assert.equal((counts[0] ?? 0) + (counts[1] ?? 0), 40);
      assert.ok(Math.min(...counts) > 0, `all went to one: ${counts.join(", ")}`);
    } finally {
      await second.stop();
    }
  });

  async function redrive(body: object): Promise<z.output<typeof redrivenView>> {
    const { body: answer } = await at.site.send("POST", "/bus/redrive", { body });
    return redrivenView.parse(answer);
  }

  async function deadWith(reason: string): Promise<void> {
    await until(
      async () => (await redrive({ dryRun: true })).reasons,
      (reasons) => (reasons[reason] ?? 0) > 0,
    );
  }

  function answersTo(correlationId: string): number {
    return at.client.deliveries.filter((delivery) => delivery.correlationId === correlationId)
      .length;
  }
});

test(
  "a queue that is full refuses, and what it has taken is worked off",
  { skip: rabbitmqSkip },
  async () => {
    const at = await openBusSite({ env: { GLASSHOUSE_BUS_MAX_LENGTH: "10" } });
    try {
      await registerLoad(at.site);
      // Once there was a first answer the queue is there.
      await loadComplaints(at, await orderMany(at.client, { prefix: "first", count: 1 }));
      await at.site.server.stop();
      const publisher = at.client.connection.createPublisher({ confirm: true });
      const outcomes: string[] = [];
      for (let n = 0; n < 40; n += 1) {
        const body = {
          specversion: "1.0",
          id: `full-${n}`,
          source: "https://test.example.com",
          type: "environment.create",
          data: { name: `full-${n}`, template: "load" },
        };
        const envelope = {
          exchange: busNames.commands,
          routingKey: "environment.create",
          durable: true,
          contentType: "application/cloudevents+json",
          replyTo: at.client.replyTo,
        };
        outcomes.push(
          await publisher.send(envelope, Buffer.from(JSON.stringify(body))).then(
            () => "taken",
            () => "refused",
          ),
        );
      }
      const taken = outcomes.flatMap((outcome, n) => (outcome === "taken" ? [n] : []));
      assert.ok(taken.length >= 10 && taken.length < 30, `${taken.length} were taken`);
      await at.site.start();
      const orders = new Map(taken.map((n) => [`full-${n}`, `full-${n}`]));
      assert.deepEqual(await loadComplaints(at, orders), []);
      await publisher.close();
    } finally {
      await at.close();
    }
  },
);
