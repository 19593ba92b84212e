import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, test } from "node:test";
import { routeOf } from "../contract/rest.ts";
import { problemOf } from "../contract/problem.ts";
import { Api } from "./api.ts";
import { ServerError, UnreachableError } from "./failure.ts";

const version = { name: "glasshouse", version: "1.0.0", api: "v1", commit: null };
const patience = { firstMs: 1_500, laterMs: 3_000 };

type Serve = (request: IncomingMessage, response: ServerResponse) => void;

/** A server that comes and goes on one port, and does with each request what the next of the list says; the last stays. */
class Flaky {
  #server = createServer();
  #port = 0;
  readonly requests: IncomingMessage[] = [];
  serve: Serve[] = [];

  async start(): Promise<void> {
    this.#server = createServer((request, response) => {
      this.requests.push(request);
      const [next] = this.serve.length > 1 ? this.serve.splice(0, 1) : this.serve;
      next?.(request, response);
    });
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = portOf(this.#server.address());
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }
}

function portOf(address: string | AddressInfo | null): number {
  assert.ok(address !== null && typeof address === "object");
  return address.port;
}

function json(response: ServerResponse, status: number, body: unknown): void {
  const type = status >= 400 ? "application/problem+json" : "application/json";
  response.writeHead(status, { "content-type": type }).end(JSON.stringify(body));
}

const well: Serve = (_, response) => json(response, 200, version);

const away: Serve = (_, response) => {
  const problem = problemOf("unavailable", { message: "It restarts.", details: [], traceId: "t" });
  response.setHeader("retry-after", "1");
  json(response, 503, problem);
};

const cutOff: Serve = (_, response) => {
  response.writeHead(200, { "content-type": "application/json", "content-length": "1000" });
  response.write('{"name":');
  setTimeout(() => response.destroy(), 5);
};

const destroyed: Serve = (request) => void request.socket.destroy();

describe("a request of the command line", () => {
  let server: Flaky;
  let said: string[];
  let api: Api;

  beforeEach(async () => {
    server = new Flaky();
    server.serve = [well];
    await server.start();
    said = [];
    api = new Api({
      server: server.url,
      token: undefined,
      say: (line) => said.push(line),
      patience,
    });
  });
  afterEach(() => server.stop());

  test("outlives a server that is away for a moment, and says that it waits", async () => {
    await server.stop();
    const asked = api.get(routeOf("getVersion"));
    setTimeout(() => void server.start(), 300);
    assert.equal((await asked).version, "1.0.0");
    assert.equal(said.length, 1);
    assert.match(
      said[0] ?? "",
      /^No answer from http:\/\/127.* \(connection refused\); trying again/u,
    );
  });

  test("is given up on soon where no server has ever answered", async () => {
    await server.stop();
    const startedAtMs = performance.now();
    await assert.rejects(api.get(routeOf("getVersion")), UnreachableError);
    assert.ok(performance.now() - startedAtMs < patience.laterMs);
  });

  test("is sent again when the server says when to come back", async () => {
    server.serve = [away, well];
    const startedAtMs = performance.now();
    assert.equal((await api.get(routeOf("getVersion"))).version, "1.0.0");
    assert.ok(performance.now() - startedAtMs >= 990, "not before the time that was asked for");
    assert.match(said[0] ?? "", /^It restarts; trying again for up to/u);
  });

  test("is sent again when its answer breaks off", async () => {
    server.serve = [cutOff, well];
    assert.equal((await api.get(routeOf("getVersion"))).version, "1.0.0");
  });

  test("that carries a command keeps the command's id when it is sent again", async () => {
    server.serve = [destroyed, away, well];
    // The answer is no command; what counts here is what was sent.
    await assert.rejects(api.ask(routeOf("createEnvironment"), { body: { name: "shop" } }));
    const keys = server.requests.map(({ headers }) => headers["idempotency-key"]);
    assert.equal(keys.length, 3);
    assert.equal(new Set(keys).size, 1);
    assert.ok(keys[0] !== undefined);
  });

  test("is sent once when the caller wants to know, and when the server refuses for good", async () => {
    server.serve = [away];
    await assert.rejects(api.get(routeOf("getVersion"), { once: true }), ServerError);
    assert.equal(server.requests.length, 1);
    const refusal = problemOf("not-found", { message: "No such.", details: [], traceId: "t" });
    server.serve = [(_, response) => json(response, 404, refusal)];
    await assert.rejects(api.get(routeOf("getVersion")), ServerError);
    assert.equal(server.requests.length, 2);
    assert.deepEqual(said, []);
  });

  test("ends while it waits when its caller stops it", async () => {
    server.serve = [away];
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 50);
    const startedAtMs = performance.now();
    await assert.rejects(api.get(routeOf("getVersion"), { signal: stop.signal }));
    assert.ok(performance.now() - startedAtMs < 900);
  });

  test("takes a health of 503 for an answer", async () => {
    const health = { status: "down", live: true, ready: false, dependencies: [] };
    server.serve = [(_, response) => json(response, 503, health)];
    assert.equal((await api.get(routeOf("getHealth"))).status, "down");
  });
});
