import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { after, describe, test } from "node:test";
import { testChecker } from "../../../testing/check-contract.ts";
import { httpChecker } from "./index.ts";

let sent = 0;
const seen: string[] = [];
const answers: Readonly<
  Record<string, (request: IncomingMessage, response: ServerResponse) => void>
> = {
  "/ok": (_, response) => response.end("fine"),
  "/ill": (_, response) => response.writeHead(503).end(),
  "/silent": () => undefined,
  "/moved": (_, response) => response.writeHead(302, { location: "/ok" }).end(),
  "/loop": (_, response) => response.writeHead(302, { location: "/loop" }).end(),
  "/file": (_, response) => response.writeHead(302, { location: "file:///etc/passwd" }).end(),
  "/slow-body": (_, response) => void response.write("never ends"),
  "/flood": (_, response) => {
    const more = (): void => {
      while (!response.destroyed) {
        sent += 65_536;
        if (!response.write(Buffer.alloc(65_536))) return void response.once("drain", more);
      }
    };
    more();
  },
};
const server = createServer((request, response) => {
  seen.push(`${request.url}`);
  answers[request.url ?? ""]?.(request, response);
});
const listening = new Promise<string>((resolve) => {
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    resolve(`http://127.0.0.1:${address.port}`);
  });
});
after(() => {
  server.closeAllConnections();
  server.close();
});

async function look(path: string, expect: readonly number[] = [200]) {
  const url = path.includes(":") ? path : `${await listening}${path}`;
  const signal = new AbortController().signal;
  return httpChecker.check({ kind: "http", url, expect }, { timeoutMs: 2_000, signal });
}

describe("the http check", () => {
  testChecker(httpChecker, async () => {
    const base = await listening;
    return {
      healthy: { kind: "http", url: `${base}/ok`, expect: [200] },
      unhealthy: { kind: "http", url: `${base}/ill`, expect: [200, 204] },
      silent: { kind: "http", url: `${base}/silent`, expect: [200] },
    };
  });

  test("names the status it got and those it expected", async () => {
    assert.deepEqual(await look("/ill", [200, 204]), {
      healthy: false,
      detail: "HTTP 503, expected 200 or 204",
    });
    assert.deepEqual(await look("/ill", [503]), { healthy: true, detail: "HTTP 503" });
  });

  test("follows a redirect, unless the redirect itself is expected", async () => {
    assert.deepEqual(await look("/moved"), { healthy: true, detail: "HTTP 200" });
    assert.deepEqual(await look("/moved", [302]), { healthy: true, detail: "HTTP 302" });
  });

  test("follows no redirect to anything but http, and not for ever", async () => {
    assert.match((await look("/file")).detail, /not an http/u);
    assert.deepEqual(await look("/loop"), { healthy: false, detail: "more than 5 redirects" });
  });

  test("decides by the status when the body does not end", async () => {
    assert.deepEqual(await look("/slow-body"), { healthy: true, detail: "HTTP 200" });
  });

  test("reads no more than a little of a body without end", async () => {
    assert.equal((await look("/flood")).healthy, true);
    assert.ok(sent < 32 * 1024 * 1024, `${sent} bytes were sent`);
  });

  test("says why there was no answer, and hides a password in an address", async () => {
    assert.equal((await look("http://127.0.0.1:1/")).detail, "connection refused");
    const { detail } = await look("ftp://user:hunter2@127.0.0.1/");
    assert.match(detail, /not an http/u);
    assert.doesNotMatch(detail, /hunter2/u);
  });

  test("does not use a proxy of the environment", async () => {
    process.env["NODE_USE_ENV_PROXY"] = "1";
    process.env["HTTP_PROXY"] = "http://127.0.0.1:1";
    try {
      assert.equal((await look("/ok")).healthy, true);
    } finally {
      delete process.env["NODE_USE_ENV_PROXY"];
      delete process.env["HTTP_PROXY"];
    }
  });
});
