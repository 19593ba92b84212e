import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { socketTo } from "./socket.ts";

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
