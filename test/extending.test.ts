import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { proxiedTcpChecker } from "../docs/samples/proxied-tcp-checker.ts";
import { testChecker } from "../src/testing/check-contract.ts";

const root = join(import.meta.dirname, "..");
const page = readFileSync(join(root, "docs/extending.md"), "utf8");

const refuse: RequestListener = (_request, response) => void response.end();

describe("the sample of a check", () => {
  const target = createServer(refuse);
  const proxy = createServer(refuse);
  // It says nothing of a host named silent, and passes everything else on.
  proxy.on("connect", ({ url = "" }, client) => {
    client.on("error", () => undefined);
    const { hostname, port } = new URL(`http://${url}`);
    if (hostname === "silent.invalid") return;
    const behind = connect({ host: hostname, port: Number(port) });
    behind.on("connect", () => client.write("HTTP/1.1 200 OK\r\n\r\n"));
    behind.on("error", () => client.end("HTTP/1.1 502 Bad Gateway\r\n\r\n"));
    client.on("close", () => behind.destroy());
  });
  const portOf = async (server: typeof target): Promise<number> => {
    if (!server.listening)
      await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  };
  after(() => {
    for (const server of [target, proxy]) {
      server.closeAllConnections();
      server.close();
    }
  });
  const ready = Promise.all([portOf(target), portOf(proxy)]);
  const checker = {
    kind: "tcp",
    check: async (...of: Parameters<ReturnType<typeof proxiedTcpChecker>["check"]>) => {
      const [, port] = await ready;
      return proxiedTcpChecker({ host: "127.0.0.1", port }).check(...of);
    },
  } as const;

  testChecker(checker, async () => ({
    healthy: { kind: "tcp", host: "127.0.0.1", port: (await ready)[0] },
    unhealthy: { kind: "tcp", host: "127.0.0.1", port: 1 },
    silent: { kind: "tcp", host: "silent.invalid", port: 9 },
  }));

  test("says what the proxy said, and when there is none", async () => {
    const look = { timeoutMs: 2_000, signal: new AbortController().signal };
    const refused = await checker.check({ kind: "tcp", host: "127.0.0.1", port: 1 }, look);
    assert.deepEqual(refused, { healthy: false, detail: "the proxy answers 502" });
    const [port] = await ready;
    const none = proxiedTcpChecker({ host: "127.0.0.1", port: 1 });
    const { detail } = await none.check({ kind: "tcp", host: "127.0.0.1", port }, look);
    assert.match(detail, /^the proxy: .*ECONNREFUSED/u);
  });
});

describe("the page about extending", () => {
  test("shows the sample as it is", () => {
    const sample = readFileSync(join(root, "docs/samples/proxied-tcp-checker.ts"), "utf8");
    assert.ok(page.includes(sample.trim()), "docs/extending.md and the sample differ");
  });

  test("names every contract suite, check and executor", () => {
    const suites = globSync("src/testing/*-contract.ts", { cwd: root });
    assert.ok(suites.length >= 6);
    for (const suite of suites.filter((one) => !one.endsWith("crash-contract.ts")))
      assert.ok(page.includes(suite), `${suite} is not named`);
    const folders = globSync("src/adapters/{checks,executors}/*", { cwd: root });
    assert.ok(folders.length >= 5);
    for (const folder of folders)
      assert.ok(page.includes(folder.replace("src/adapters/", "")), `${folder} is not named`);
  });
});
