import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Connection } from "rabbitmq-client";
import { z } from "zod";
import { Rabbitmq, rabbitmqSkip } from "../../support/rabbitmq.ts";

const options = { skip: rabbitmqSkip };

test(
  "a private broker keeps confirmed messages through a stop and a kill, and leaves nothing behind",
  options,
  async () => {
    const broker = await Rabbitmq.start();
    after(() => broker.close());
    await send(broker.url, "one");
    await broker.stop();
    await broker.start();
    await send(broker.url, "two");
    await broker.kill();
    await broker.start();
    assert.deepEqual(await take(broker.url), ["one", "two"]);
    assert.match(await broker.control(["list_users"]), /guest/u);
    await broker.close();
    assert.ok(!existsSync(broker.directory));
  },
);

test("three nodes make one cluster, which outlives one of them", options, async () => {
  const broker = await Rabbitmq.start({ nodes: 3 });
  after(() => broker.close());
  await send(broker.urlOf(0), "one");
  await broker.kill(0);
  await send(broker.urlOf(1), "two");
  // One whose confirmation was lost has come twice.
  assert.deepEqual([...new Set(await take(broker.urlOf(2)))], ["one", "two"]);
  await broker.start(0);
});

test("a TLS listener refuses who has no certificate of its authority", options, async () => {
  const broker = await Rabbitmq.start({ tls: "verify" });
  after(() => broker.close());
  const files = broker.certificates;
  assert.ok(files !== null);
  const ca = await readFile(files.authority);
  const own = {
    ca,
    cert: await readFile(files.client.certificate),
    key: await readFile(files.client.key),
  };
  await send(broker.tlsUrlOf(0), "one", own);
  await assert.rejects(send(broker.tlsUrlOf(0), "two", { ca }));
});

interface Tls {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

const queue = {
  queue: "kept",
  durable: true,
  arguments: { "x-queue-type": "quorum" },
} satisfies Parameters<Connection["queueDeclare"]>[0];

/** Confirmed; sent again when it is refused or no confirmation comes, as it happens while the leader of a queue changes. */
async function send(url: string, text: string, tls?: Tls): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const failure = await sendOnce(url, text, tls);
    if (failure === null) return;
    if (attempt === 5) throw new Error(failure);
    await sleep(500);
  }
}

async function sendOnce(url: string, text: string, tls: Tls = {}): Promise<string | null> {
  const connection = new Connection({ url, acquireTimeout: 3_000, ...(tls.ca ? { tls } : {}) });
  connection.on("error", () => undefined);
  try {
    const publisher = connection.createPublisher({ confirm: true, queues: [queue] });
    const sent = publisher.send({ routingKey: "kept", durable: true }, text).then(
      () => null,
      (error: unknown) => String(error),
    );
    return await Promise.race([sent, sleep(6_000, "no confirmation came")]);
  } finally {
    connection.unsafeDestroy();
  }
}

/** The messages that are there; they are taken out. */
async function take(url: string): Promise<readonly string[]> {
  const connection = new Connection({ url });
  connection.on("error", () => undefined);
  try {
    const texts: string[] = [];
    for (;;) {
      const message = await connection.basicGet({ queue: "kept", noAck: true });
      if (message === undefined) return texts;
      texts.push(z.string().parse(message.body));
    }
  } finally {
    await connection.close();
  }
}
