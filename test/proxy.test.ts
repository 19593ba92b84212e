import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { TcpProxy } from "./support/proxy.ts";

/** Answers each line with itself in brackets, and keeps all it was sent. */
let server: Server;
let proxy: TcpProxy;
let received = "";
const clients: Socket[] = [];

before(async () => {
  server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      received += chunk.toString();
      socket.write(`[${chunk.toString().trim()}]`);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
after(() => server.close());
beforeEach(async () => {
  received = "";
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  proxy = await TcpProxy.open(address.port);
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await proxy.close();
});

interface Client {
  readonly got: () => string;
  readonly closed: Promise<unknown>;
  say(text: string): void;
  end(): void;
}

function dial(): Client {
  const socket = connect(proxy.port, "127.0.0.1");
  clients.push(socket);
  socket.on("error", () => undefined);
  let got = "";
  socket.on("data", (chunk) => {
    got += chunk.toString();
  });
  const closed = new Promise((resolve) => {
    socket.once("close", resolve);
  });
  return {
    got: () => got,
    closed,
    say: (text) => void socket.write(text),
    end: () => void socket.destroy(),
  };
}

/** Waits until it is so; the runner's limit ends a test in which it never is. */
async function seen(isSo: () => boolean): Promise<void> {
  while (!isSo()) await sleep(5);
}

/** For what must not come: long enough for what would come. */
const quietMs = 60;

describe("the proxy before a server", () => {
  test("passes bytes on both ways and counts connections", async () => {
    const one = dial();
    one.say("hello");
    await seen(() => one.got() === "[hello]");
    assert.deepEqual([proxy.open, proxy.accepted], [1, 1]);
    one.end();
    await seen(() => proxy.open === 0);
  });

  test("delays, and keeps the order", async () => {
    const one = dial();
    proxy.change({ delayMs: 100 }, "toServer");
    const began = performance.now();
    one.say("a");
    await sleep(20);
    one.say("b");
    await seen(() => received.length === 2);
    assert.equal(received, "ab");
    assert.ok(performance.now() - began >= 100);
  });

  test("lets no more bytes through in a second than it was told", async () => {
    const one = dial();
    proxy.change({ bytesPerSecond: 1_000 }, "toServer");
    const began = performance.now();
    for (let part = 0; part < 4; part += 1) one.say("x".repeat(100));
    await seen(() => received.length === 400);
    const tookMs = performance.now() - began;
    assert.ok(tookMs >= 390, `400 bytes came in ${tookMs} ms`);
  });

  test("holds all bytes in a black hole, and delivers them when it clears", async () => {
    const one = dial();
    await seen(() => proxy.open === 1);
    proxy.blackHole();
    one.say("hello");
    await sleep(quietMs);
    assert.deepEqual([received, one.got()], ["", ""]);
    proxy.clear();
    await seen(() => one.got() === "[hello]");
  });

  test("eats answers for good, while questions arrive", async () => {
    const one = dial();
    proxy.change({ eaten: true }, "toClient");
    one.say("a");
    await seen(() => received === "a");
    await sleep(quietMs);
    proxy.clear();
    one.say("b");
    await seen(() => received === "ab" && one.got() === "[b]");
  });

  test("cuts all connections, and takes new ones unless it refuses", async () => {
    const [one, two] = [dial(), dial()];
    await seen(() => proxy.open === 2);
    proxy.cut();
    await Promise.all([one.closed, two.closed]);
    const three = dial();
    three.say("c");
    await seen(() => three.got() === "[c]");
    proxy.refuse();
    await dial().closed;
  });

  test("cuts after so many bytes, and passes none beyond", async () => {
    const one = dial();
    const happened = proxy.cutAfter("toServer", 5);
    one.say("abc");
    await seen(() => one.got() === "[abc]");
    one.say("defg");
    await Promise.all([happened, one.closed]);
    await seen(() => received === "abcde");
  });

  test("retargets new connections only", async () => {
    const other = createServer((socket) => socket.end("other"));
    other.listen(0, "127.0.0.1");
    await once(other, "listening");
    const one = dial();
    await seen(() => proxy.open === 1);
    const address = other.address();
    assert.ok(address !== null && typeof address === "object");
    proxy.retarget(address.port);
    const two = dial();
    await seen(() => two.got() === "other");
    one.say("a");
    await seen(() => one.got() === "[a]");
    other.close();
  });

  test("lets a lens change what new connections carry", async () => {
    proxy.see("toClient", () => (chunk) => Buffer.from(chunk.toString().toUpperCase()));
    const one = dial();
    one.say("a");
    await seen(() => one.got() === "[A]");
  });
});

describe("a trap of the proxy", () => {
  test("before: what has the pattern does not arrive, and the connection is cut", async () => {
    const [one, two] = [dial(), dial()];
    const sprung = proxy.trap({ direction: "toServer", pattern: "COMMIT", moment: "before" });
    one.say("begin;");
    await seen(() => received === "begin;");
    one.say("commit;");
    await Promise.all([sprung, one.closed]);
    two.say("commit;");
    await seen(() => two.got() === "[commit;]");
    assert.equal(received, "begin;commit;");
  });

  test("answer: it arrives, and its answer is lost with the connection", async () => {
    const one = dial();
    const sprung = proxy.trap({ direction: "toServer", pattern: "commit", moment: "answer" });
    one.say("commit;");
    await Promise.all([sprung, one.closed]);
    assert.deepEqual([received, one.got()], ["commit;", ""]);
  });

  test("after, everywhere, at the second match, also when it is split over chunks", async () => {
    const [one, two] = [dial(), dial()];
    await seen(() => proxy.open === 2);
    const sprung = proxy.trap({
      direction: "toServer",
      pattern: "commit",
      moment: "after",
      skip: 1,
      cuts: "all",
    });
    one.say("commit;");
    await seen(() => one.got() === "[commit;]");
    one.say("com");
    await seen(() => one.got() === "[commit;][com]");
    one.say("mit;");
    await Promise.all([sprung, one.closed, two.closed]);
    await seen(() => received.endsWith("mit;"));
  });
});
