import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { afterEach, describe, test } from "node:test";
import { GlasshouseError } from "../../domain/errors.ts";
import { HttpConnection } from "../http/connection.ts";
import { healthyAddresses, type ServiceAddress } from "./addresses.ts";
import type { ServiceInstance } from "./health.ts";
import { ServiceConnection } from "./service-connection.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function instance(name: string): Promise<ServiceAddress & { readonly server: Server }> {
  const server = createServer((_, response) => response.end(name));
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { host: "127.0.0.1", port, server };
}

function connectionTo(list: () => readonly ServiceAddress[]): ServiceConnection {
  return new ServiceConnection({
    name: "Vault",
    addresses: { list, known: () => Promise.resolve() },
    connect: (host) => new HttpConnection({ url: `http://${host}`, name: "Vault", connections: 2 }),
  });
}

const send = async (connection: ServiceConnection): Promise<string> => {
  const signal = AbortSignal.timeout(2_000);
  const { body } = await connection.send({ method: "GET", path: "/", signal, mostBytes: 100 });
  return body.toString("utf8");
};

describe("a connection to a service", () => {
  test("stays at an instance while that answers, and goes on at another one once it does not", async () => {
    const all = [await instance("a"), await instance("b")];
    const connection = connectionTo(() => all);
    const first = await send(connection);
    assert.equal(await send(connection), first);
    const { server } = all[first === "a" ? 0 : 1] ?? {};
    server?.closeAllConnections();
    await new Promise((resolve) => server?.close(resolve));
    await assert.rejects(send(connection), { code: "unavailable" });
    assert.equal(await send(connection), first === "a" ? "b" : "a");
    await connection.close();
  });

  test("goes where Consul says that the instances are now", async () => {
    const [a, b] = [await instance("a"), await instance("b")];
    let list: readonly ServiceAddress[] = [a];
    const connection = connectionTo(() => list);
    assert.equal(await send(connection), "a");
    list = [b];
    assert.equal(await send(connection), "b");
    await connection.close();
  });

  test("says that it does not know where to go while Consul has named none", async () => {
    await assert.rejects(
      send(connectionTo(() => [])),
      (error: unknown) =>
        error instanceof GlasshouseError &&
        error.code === "unavailable" &&
        error.message.includes("no healthy instance of Vault"),
    );
  });
});

test("the addresses of a service are those of its healthy instances that have a port, always in the same order", () => {
  const failing = [{ name: "up", output: "no" }];
  const all = [
    instanceOf("3", 1),
    instanceOf("1", 1),
    instanceOf("2", 1, { failing }),
    instanceOf("4", 0),
  ];
  const expected = [
    { host: "10.0.0.1", port: 1 },
    { host: "10.0.0.3", port: 1 },
  ];
  assert.deepEqual(healthyAddresses(all), expected);
  assert.deepEqual(healthyAddresses(all.toReversed()), expected);
});

function instanceOf(
  id: string,
  port: number,
  more: Partial<ServiceInstance> = {},
): ServiceInstance {
  return { id, node: "n", address: `10.0.0.${id}`, port, failing: [], ...more };
}
