import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { describe, test, type TestContext } from "node:test";
import { isError } from "../testing/source-contract.ts";
import { listenOn, type ListenAddress } from "./config-listen.ts";

async function open(context: TestContext, { host, port }: ListenAddress): Promise<Server> {
  const server = createServer().listen(port, host);
  context.after(() => server.close());
  await once(server, "listening");
  return server;
}

describe("listening", () => {
  test("where something else does is refused by the address, with what to do", async (context) => {
    const first = await open(context, { host: "127.0.0.1", port: 0 });
    const taken = first.address();
    assert.ok(taken !== null && typeof taken === "object");
    const address = { host: "127.0.0.1", port: taken.port };
    const again = listenOn(address, (at) => open(context, at));
    await assert.rejects(
      again,
      isError("conflict", new RegExp(`127.0.0.1:${taken.port} .*--listen`, "u")),
    );
  });

  test("on an address that the machine does not have is refused", async (context) => {
    const address = { host: "192.0.2.1", port: 0 };
    const asked = listenOn(address, (at) => open(context, at));
    await assert.rejects(asked, isError("invalid-configuration", /no such address/u));
  });

  test("passes other faults on as they are", async () => {
    const fault = new Error("out of memory");
    const asked = listenOn({ host: "127.0.0.1", port: 0 }, () => Promise.reject(fault));
    await assert.rejects(asked, fault);
  });
});
