import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { problemView } from "../../contract/problem.ts";
import { testServer } from "./server.fixture.ts";

const host = "127.0.0.1:8080";

suite("a process without the role api", () => {
  test("answers what is asked of itself", async () => {
    const { app } = testServer(["worker"]);
    const own = ["/livez", "/readyz", "/health", "/api/v1/health", "/api/v1/version"];
    for (const url of own) {
      const reply = await app.inject({ url, headers: { host } });
      assert.equal(reply.statusCode, 200, url);
    }
    const info = await app.inject({ url: "/api/v1/info", headers: { host } });
    assert.match(info.payload, /"roles":\["worker"\]/u);
  });

  test("sends everything else to one that has it, and takes nothing in", async () => {
    const { app, services } = testServer(["worker"]);
    const asked = [
      { method: "GET", url: "/api/v1/environments" },
      { method: "GET", url: "/api/v1/events" },
      { method: "GET", url: "/api/v1/docs" },
      { method: "DELETE", url: "/api/v1/environments/shop" },
    ] as const;
    for (const request of asked) {
      const reply = await app.inject({ ...request, headers: { host } });
      assert.equal(reply.statusCode, 421, request.url);
      const problem = problemView.parse(JSON.parse(reply.payload));
      assert.equal(problem.code, "not-served");
      assert.match(problem.detail, /This process is a worker and does not serve/u);
    }
    assert.deepEqual(services.requests, []);
    const nowhere = await app.inject({ url: "/nowhere", headers: { host } });
    assert.equal(nowhere.statusCode, 404);
  });
});
