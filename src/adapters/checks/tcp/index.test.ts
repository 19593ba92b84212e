import assert from "node:assert/strict";
import dns from "node:dns";
import { createServer } from "node:net";
import { after, before, describe, mock, test } from "node:test";
import { testChecker } from "../../../testing/check-contract.ts";
import { tcpChecker } from "./index.ts";

const server = createServer((socket) => socket.on("error", () => undefined));
const listening = new Promise<number>((resolve) => {
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    resolve(typeof address === "object" && address !== null ? address.port : 0);
  });
});
after(() => server.close());

describe("the tcp check", () => {
  // Nothing on the machine itself keeps silent when it is connected to; a name that is never found does.
  const lookup = dns.lookup.bind(dns);
  let silence: { readonly mock: { restore(): void } } | null = null;
  before(() => {
    silence = mock.method(dns, "lookup", (...args: Parameters<typeof lookup>) => {
      if (args[0] !== "silent.invalid") lookup(...args);
    });
  });
  after(() => silence?.mock.restore());

  testChecker(tcpChecker, async () => ({
    healthy: { kind: "tcp", host: "127.0.0.1", port: await listening },
    unhealthy: { kind: "tcp", host: "127.0.0.1", port: 1 },
    silent: { kind: "tcp", host: "silent.invalid", port: 9 },
  }));

  test("says what the machine said", async () => {
    const signal = new AbortController().signal;
    const look = { timeoutMs: 2_000, signal };
    assert.deepEqual(await tcpChecker.check({ kind: "tcp", host: "127.0.0.1", port: 1 }, look), {
      healthy: false,
      detail: "connection refused",
    });
  });
});
