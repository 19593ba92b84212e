import assert from "node:assert/strict";
import { request as httpRequest, type ClientRequest, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { once } from "node:events";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, suite, test } from "node:test";
import { eventView } from "../../contract/rest-event.ts";
import { testServer, type Subject } from "./server.fixture.ts";

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

async function listening(): Promise<Subject & { readonly port: number }> {
  const subject = testServer();
  await subject.app.listen({ host: "127.0.0.1", port: 0 });
  open.push(() => subject.app.close());
  const address = subject.app.server.address();
  return { ...subject, port: typeof address === "object" ? (address?.port ?? 0) : 0 };
}

class Stream {
  readonly request: ClientRequest;
  readonly response: IncomingMessage;
  text = "";

  constructor(request: ClientRequest, response: IncomingMessage) {
    this.request = request;
    this.response = response;
    response.setEncoding("utf8").on("data", (chunk: string) => (this.text += chunk));
    response.on("error", () => {});
  }

  get ids(): readonly number[] {
    return [...this.text.matchAll(/^id: (\d+)$/gmu)].map((match) => Number(match[1]));
  }

  async has(wanted: RegExp): Promise<void> {
    await until(
      () => wanted.test(this.text),
      () => `${this.text.slice(-500)} never has ${wanted}`,
    );
  }

  async ended(): Promise<void> {
    if (!this.response.readableEnded) await once(this.response, "end");
  }
}

async function until(done: () => boolean, otherwise: () => string): Promise<void> {
  for (let turn = 0; turn < 200_000; turn += 1) {
    if (done()) return;
    await nextTurn();
  }
  assert.fail(otherwise());
}

async function get(
  port: number,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Stream> {
  const request = httpRequest({ host: "127.0.0.1", port, path, headers, agent: false });
  request.on("error", () => {});
  request.end();
  const response = await new Promise<IncomingMessage>((resolve) =>
    request.once("response", resolve),
  );
  return new Stream(request, response);
}

const stream = { accept: "text/event-stream" };

suite("live events", () => {
  test("come as they are written, with position, type and CloudEvent", async () => {
    const { port, services } = await listening();
    services.append(3);
    const client = await get(port, "/api/v1/events", stream);
    assert.equal(client.response.statusCode, 200);
    assert.equal(client.response.headers["content-type"], "text/event-stream");
    assert.equal(client.response.headers["x-accel-buffering"], "no");
    await until(
      () => services.watchers("journal") === 1,
      () => "nobody watches",
    );
    await client.has(/retry: 2000/u);
    services.append(2, { type: "environment.ok" });
    await client.has(/id: 5\n/u);
    assert.deepEqual(client.ids, [4, 5]);
    const [, type, data] = /event: (.*)\ndata: (.*)\n/u.exec(client.text) ?? [];
    assert.equal(type, "environment.ok");
    assert.equal(eventView.parse(JSON.parse(data ?? "")).position, 4);
    client.request.destroy();
    await until(
      () => services.watchers("journal") === 0,
      () => "it is watched still",
    );
  });

  test("after a position the missed ones come first, then the new, each once and in order", async () => {
    const { port, services } = await listening();
    services.append(1_800);
    const client = await get(port, "/api/v1/events?after=100", stream);
    for (let n = 0; n < 50; n += 1) {
      services.append(4);
      await nextTurn();
    }
    await client.has(/id: 2000\n/u);
    assert.deepEqual(
      client.ids,
      Array.from({ length: 1_900 }, (_, index) => index + 101),
    );
    client.request.destroy();
  });

  test("Last-Event-ID goes before ?after=", async () => {
    const { port, services } = await listening();
    services.append(5);
    const headers = { ...stream, "last-event-id": "3" };
    const client = await get(port, "/api/v1/events?after=1", headers);
    await client.has(/id: 5\n/u);
    assert.deepEqual(client.ids, [4, 5]);
    client.request.destroy();
  });

  test("are filtered by environment, run and subject, missed ones and new ones alike", async () => {
    const { port, services } = await listening();
    const other = { environmentId: "env_2", runId: "run_2", subject: "environments/other" };
    const both = (): void => {
      services.append(1);
      services.append(1, other);
    };
    both();
    const paths = [
      "/api/v1/environments/shop/events?after=0",
      "/api/v1/events?after=0&run=run_1",
      "/api/v1/events?after=0&subject=environments/shop",
    ];
    const clients = await Promise.all(paths.map((path) => get(port, path, stream)));
    for (const client of clients) await client.has(/id: 1\n/u);
    both();
    for (const client of clients) {
      await client.has(/id: 3\n/u);
      assert.deepEqual(client.ids, [1, 3]);
      client.request.destroy();
    }
  });

  test("a position before the oldest that is kept, or after the newest, is told as a gap", async () => {
    const { port, services } = await listening();
    services.append(10);
    services.oldest = 8;
    const early = await get(port, "/api/v1/events?after=2", stream);
    await early.has(/event: gap\ndata: \{"after":2,"head":10,"oldest":8\}/u);
    const late = await get(port, "/api/v1/events?after=99", stream);
    await late.has(/event: gap/u);
    early.request.destroy();
    late.request.destroy();
  });

  test("a heartbeat comes every 15 s", async () => {
    const { port, services, clock } = await listening();
    const client = await get(port, "/api/v1/events", stream);
    await client.has(/retry/u);
    await until(
      () => services.watchers("journal") === 1,
      () => "nobody watches",
    );
    clock.advance(15_000);
    clock.advance(15_000);
    await client.has(/(?:: heartbeat\n\n){2}/u);
    client.request.destroy();
  });

  test("a client that reads too slowly is dropped with a reason, the others go on", async () => {
    const { port, services } = await listening();
    const slow = await get(port, "/api/v1/events", stream);
    const fast = await get(port, "/api/v1/events", stream);
    await until(
      () => services.watchers("journal") === 1,
      () => "nobody watches",
    );
    await slow.has(/retry/u);
    slow.response.pause();
    const data = { text: "x".repeat(100_000) };
    for (let n = 1; n <= 200; n += 1) {
      services.append(1, { data });
      await fast.has(new RegExp(`id: ${n}\\n`, "u"));
      fast.text = "";
    }
    slow.response.resume();
    await slow.ended();
    assert.match(slow.text, /: you read too slowly; come back with your last id\n\n$/u);
    assert.ok(slow.ids.length < 200);
    fast.request.destroy();
  });

  test("end when the server stops, and the server stops although clients are there", async () => {
    const { app, port } = await listening();
    const client = await get(port, "/api/v1/events", stream);
    await client.has(/retry/u);
    await app.close();
    await client.ended();
    assert.match(client.text, /: the server stops\n\n$/u);
  });

  test("without that Accept they are a list with a cursor", async () => {
    const { app, services } = testServer();
    services.append(3);
    services.append(2, { subject: "environments/other" });
    const headers = { host: "localhost" };
    const first = await app.inject({ url: "/api/v1/events?limit=3&after=1", headers });
    assert.deepEqual(positions(first.json()), [2, 3, 4]);
    const { next } = first.json<{ next: string }>();
    const second = await app.inject({ url: `/api/v1/events?limit=3&cursor=${next}`, headers });
    assert.deepEqual(positions(second.json()), [5]);
    assert.equal(second.json<{ next: string | null }>().next, null);
    const other = await app.inject({
      url: "/api/v1/events?limit=1&subject=environments/other",
      headers,
    });
    assert.deepEqual(positions(other.json()), [4]);
    assert.equal(other.json<{ next: string | null }>().next, "4");
  });

  test("positions that are none are refused", async () => {
    const { app } = testServer();
    const headers = { host: "localhost", ...stream };
    for (const url of ["/api/v1/events?after=x", "/api/v1/events?after=-1"]) {
      assert.equal((await app.inject({ url, headers })).statusCode, 400);
    }
    const reply = await app.inject({
      url: "/api/v1/events",
      headers: { ...headers, "last-event-id": "evt_1" },
    });
    assert.equal(reply.statusCode, 400);
  });

  test("more clients than there is room for are sent away", async () => {
    const { port } = await listening();
    const clients: Stream[] = [];
    for (let n = 0; n < 256; n += 1) clients.push(await get(port, "/api/v1/events", stream));
    const one = await get(port, "/api/v1/events", stream);
    assert.equal(one.response.statusCode, 429);
    assert.equal(one.response.headers["retry-after"], "5");
    for (const client of clients) client.request.destroy();
  });
});

function positions(body: unknown): readonly number[] {
  const { items } = eventView
    .array()
    .transform((events) => ({ items: events }))
    .parse(Reflect.get(Object(body), "items"));
  return items.map(({ position }) => position);
}

suite("logs of steps", () => {
  test("are text, or JSON lines when asked for, after a number", async () => {
    const { app, services } = testServer();
    for (const text of ["one", "two", "three"]) services.say(text);
    const url = "/api/v1/steps/stp_1/log?after=1";
    const headers = { host: "localhost" };
    const text = await app.inject({ url, headers });
    assert.equal(text.payload, "two\nthree\n");
    const lines = await app.inject({
      url: `${url}&limit=1`,
      headers: { ...headers, accept: "application/jsonl" },
    });
    assert.deepEqual(JSON.parse(lines.payload), {
      number: 2,
      attempt: 1,
      time: "2026-01-31T12:00:00.000Z",
      text: "two",
    });
  });

  test("are followed until the step has ended", async () => {
    const { port, services } = await listening();
    services.say("one");
    const client = await get(port, "/api/v1/steps/stp_1/log?follow");
    await client.has(/one\n/u);
    services.say("two");
    await client.has(/two\n/u);
    services.say("three");
    services.stepStatus = "succeeded";
    services.touch("steps");
    await client.ended();
    assert.equal(client.text, "one\ntwo\nthree\n");
    assert.equal(services.watchers("logs"), 0);
  });

  test("that are long come whole when the step has ended already", async () => {
    const { port, services } = await listening();
    for (let n = 1; n <= 1_250; n += 1) services.say(String(n));
    services.stepStatus = "failed";
    const client = await get(port, "/api/v1/steps/stp_1/log?follow");
    await client.ended();
    assert.equal(client.text.split("\n").length, 1_251);
  });

  test("are followed no more when the client goes or the server stops", async () => {
    const { app, port, services } = await listening();
    const gone = await get(port, "/api/v1/steps/stp_1/log?follow");
    await until(
      () => services.watchers("logs") === 1,
      () => "nobody watches",
    );
    gone.request.destroy();
    await until(
      () => services.watchers("logs") === 0,
      () => "it is watched still",
    );
    const stopped = await get(port, "/api/v1/steps/stp_1/log?follow");
    await until(
      () => services.watchers("logs") === 1,
      () => "nobody watches",
    );
    await app.close();
    await stopped.ended();
  });
});

async function raw(port: number, text: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.end(text);
  let answer = "";
  for await (const chunk of socket) answer += String(chunk);
  return answer;
}

suite("a real connection", () => {
  test("without a host, with two, or with one from elsewhere is refused", async () => {
    const { port } = await listening();
    const end = "Connection: close\r\n\r\n";
    assert.match(await raw(port, `GET /livez HTTP/1.1\r\n${end}`), /^HTTP\/1\.1 400/u);
    assert.match(await raw(port, `GET /livez HTTP/1.0\r\n${end}`), /^HTTP\/1\.1 403/u);
    assert.match(await raw(port, `GET /livez HTTP/1.1\r\nHost:\r\n${end}`), /^HTTP\/1\.1 403/u);
    const foreign = await raw(
      port,
      `GET http://evil.example.com/livez HTTP/1.1\r\nHost: evil.example.com\r\n${end}`,
    );
    assert.match(foreign, /^HTTP\/1\.1 403/u);
    const fine = await raw(port, `GET /livez HTTP/1.1\r\nHost: localhost\r\n${end}`);
    assert.match(fine, /^HTTP\/1\.1 200/u);
  });

  test("that does not speak HTTP, or sends too many headers, gets an answer and is closed", async () => {
    const { port } = await listening();
    assert.match(await raw(port, "hello\r\n\r\n"), /^HTTP\/1\.1 400/u);
    const many = `GET / HTTP/1.1\r\nX: ${"x".repeat(100_000)}\r\n\r\n`;
    assert.match(await raw(port, many), /^HTTP\/1\.1 431/u);
  });

  test("may send its body in chunks, and is stopped at the limit", async () => {
    const { port } = await listening();
    const head =
      "POST /api/v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    const chunk = `10000\r\n${"x".repeat(65_536)}\r\n`;
    assert.match(await raw(port, `${head}${chunk.repeat(17)}0\r\n\r\n`), /^HTTP\/1\.1 413/u);
    assert.match(await raw(port, `${head}2\r\n{}\r\n0\r\n\r\n`), /^HTTP\/1\.1 400[^]*"\/type"/u);
  });
});
