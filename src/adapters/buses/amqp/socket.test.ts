import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connect, createServer } from "node:net";
import { once } from "node:events";
import { socketTo, watchedSocket } from "./socket.ts";

describe("where the next connection to the broker goes", () => {
  test("is each of the hosts of then in turn, host and port together", () => {
    let hosts = ["a:1", "[::1]:2"];
    const socket = socketTo(() => hosts, ["broker.service.consul:5672"]);
    const next = () => ({ ...socket });
    const two = [next(), next()].toSorted((a, b) => a.port - b.port);
    assert.deepEqual(two, [
      { host: "a", port: 1 },
      { host: "::1", port: 2 },
    ]);
    hosts = ["c:3"];
    assert.deepEqual(next(), { host: "c", port: 3 });
  });

  test("is the name in Consul's DNS while no host is known", () => {
    const socket = socketTo(() => [], ["broker.service.consul:5672"]);
    assert.deepEqual({ ...socket }, { host: "broker.service.consul", port: 5_672 });
  });
});

describe("the socket that a client makes of options", () => {
  test("is the one that was connected with them last, and no other", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    assert.ok(address !== null && typeof address === "object");
    const here = { host: "127.0.0.1", port: address.port };
    const { options, latest } = watchedSocket(here);
    assert.equal(latest(), null);
    const [first, second] = [connect({ ...options }), connect({ ...options })];
    const foreign = connect(here);
    assert.equal(latest(), second);
    await Promise.resolve();
    const later = connect(here);
    assert.equal(latest(), second);
    for (const socket of [first, second, foreign, later]) socket.destroy();
    server.close();
  });

  test("is not one that others make after the options were only read", async () => {
    const { options, latest } = watchedSocket({ host: "127.0.0.1", port: 1 });
    assert.equal({ ...options }.port, 1);
    await Promise.resolve();
    const foreign = connect({ host: "127.0.0.1", port: 1 });
    foreign.on("error", () => undefined);
    assert.equal(latest(), null);
    foreign.destroy();
  });
});
