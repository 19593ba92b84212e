import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { testServer } from "./server.fixture.ts";

const name = "glasshouse_http_request_duration_seconds";
const host = { host: "127.0.0.1:8080" };

describe("the metrics of the API", () => {
  test("are served as Prometheus asks for them", async () => {
    const reply = await testServer().app.inject({ url: "/metrics", headers: host });
    assert.equal(reply.statusCode, 200);
    assert.equal(reply.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert.equal(reply.headers["cache-control"], "no-store");
    assert.equal(reply.body, "# all that was counted\n");
  });

  test("are not for pages of elsewhere", async () => {
    const headers = { host: "evil.example.com" };
    const reply = await testServer().app.inject({ url: "/metrics", headers });
    assert.equal(reply.statusCode, 403);
  });

  test("name a request by its operation, never by what was asked for", async () => {
    const { app, metrics } = testServer();
    await app.inject({ url: "/api/v1/environments/shop", headers: host });
    await app.inject({ url: "/api/v1/environments/no-such", headers: host });
    await app.inject({ url: "/api/v1/guessed/path-0815", headers: host });
    const route = "/api/v1/environments/{environment}";
    assert.equal(metrics.times(name, { method: "GET", route, status: "200" }), 1);
    assert.equal(metrics.times(name, { method: "GET", route, status: "404" }), 1);
    assert.equal(metrics.times(name, { method: "GET", route: "none", status: "404" }), 1);
    assert.equal(metrics.times(name), 3);
  });

  test("leave followed logs out, whose time says nothing, and keep those that are read", async () => {
    const { app, services, metrics } = testServer();
    services.stepStatus = "succeeded";
    await app.inject({ url: "/api/v1/steps/stp_1/log?follow", headers: host });
    assert.equal(metrics.times(name), 0);
    await app.inject({ url: "/api/v1/steps/stp_1/log", headers: host });
    assert.equal(metrics.times(name, { status: "200" }), 1);
  });
});
