import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { InjectOptions } from "fastify";
import { commandView } from "../../contract/rest-command.ts";
import { problemView } from "../../contract/problem.ts";
import { testServer, type Subject } from "./server.fixture.ts";

const host = "127.0.0.1:8080";
const headers = { "content-type": "application/json", host };

async function send(subject: Subject, options: InjectOptions) {
  const reply = await subject.app.inject({
    method: "POST",
    ...options,
    headers: { ...headers, ...options.headers },
  });
  return { status: reply.statusCode, headers: reply.headers, body: reply.json<unknown>() };
}

const create = {
  url: "/api/v1/environments",
  payload: { name: "shop", template: "web@1.0.0", parameters: { nodes: 3 }, ttl: "48h" },
} as const;

suite("commands over HTTP", () => {
  test("each is answered 202 with the command and where to read it", async () => {
    const subject = testServer();
    const { status, headers: got, body } = await send(subject, create);
    assert.equal(status, 202);
    const command = commandView.parse(body);
    assert.equal(got.location, `/api/v1/commands/${command.id}`);
    const again = await subject.app.inject({
      url: `/api/v1/commands/${command.id}`,
      headers: { host },
    });
    assert.deepEqual(again.json(), body);
  });

  const asked: readonly (readonly [InjectOptions & { readonly url: string }, object])[] = [
    [create, { type: "environment.create", subject: "shop", data: create.payload }],
    [
      {
        method: "PATCH",
        url: "/api/v1/environments/shop",
        payload: { reset: ["nodes"], ttl: null },
      },
      { type: "environment.update", subject: "shop", data: { reset: ["nodes"], ttl: null } },
    ],
    [
      { method: "DELETE", url: "/api/v1/environments/shop?cascade&now=false" },
      { type: "environment.destroy", subject: "shop", data: { cascade: true } },
    ],
    [
      { url: "/api/v1/environments/env_1/actions/restart", payload: {} },
      { type: "environment.action", subject: "env_1", data: { action: "restart" } },
    ],
    [
      { url: "/api/v1/templates", payload: { repository: "https://example.com/x.git", ref: "v1" } },
      {
        type: "template.register",
        subject: null,
        data: { repository: "https://example.com/x.git", ref: "v1" },
      },
    ],
    [{ url: "/api/v1/runs/run_1/cancel" }, { type: "run.cancel", subject: "run_1", data: {} }],
    [
      { url: "/api/v1/runs/run_1/retry", payload: { acceptLeaks: ["a.b"] } },
      { type: "run.retry", subject: "run_1", data: { acceptLeaks: ["a.b"] } },
    ],
    [{ url: "/api/v1/runs/run_1/approve" }, { type: "run.approve", subject: "run_1", data: {} }],
    [
      { url: "/api/v1/commands", payload: { type: "environment.refresh", subject: "shop" } },
      { type: "environment.refresh", subject: "shop", data: {} },
    ],
  ];
  for (const [options, expected] of asked) {
    const { method = "POST" } = options;
    test(`${method} ${options.url} asks for what its name says`, async () => {
      const subject = testServer();
      const { status } = await send(subject, options);
      assert.equal(status, 202);
      const [request] = subject.services.requests;
      assert.ok(request);
      const { type, subject: of, data } = request;
      assert.deepEqual({ type, subject: of, data }, expected);
      assert.equal(request.source, "rest:local");
    });
  }

  test("an archive is handed on as it came", async () => {
    const subject = testServer();
    const payload = Buffer.from("archive");
    const { status } = await send(subject, {
      url: "/api/v1/templates?draft",
      payload,
      headers: { "content-type": "application/gzip" },
    });
    assert.equal(status, 202);
    const [request] = subject.services.requests;
    assert.deepEqual([request?.archive, request?.data], [payload, { draft: true }]);
  });

  test("the same key with the same body takes effect once and gets the same answer", async () => {
    const subject = testServer();
    const keyed = { ...create, headers: { "idempotency-key": "k-1" } };
    const first = await send(subject, keyed);
    const second = await send(subject, keyed);
    assert.deepEqual([second.status, second.body], [202, first.body]);
    assert.equal(subject.services.requests.length, 1);
  });

  test("the same key with another body is refused", async () => {
    const subject = testServer();
    const keyed = { "idempotency-key": "k-1" };
    await send(subject, { ...create, headers: keyed });
    const payload = { ...create.payload, name: "other" };
    const { status, body } = await send(subject, { ...create, payload, headers: keyed });
    assert.equal(status, 409);
    assert.equal(problemView.parse(body).code, "command-reused");
  });

  test("without a key two requests are two commands", async () => {
    const subject = testServer();
    const [first, second] = [await send(subject, create), await send(subject, create)];
    assert.notEqual(commandView.parse(first.body).id, commandView.parse(second.body).id);
  });

  test("a key of another form is refused", async () => {
    for (const key of ["", "a b", "x".repeat(201)]) {
      const { status } = await send(testServer(), {
        ...create,
        headers: { "idempotency-key": key },
      });
      assert.equal(status, 400);
    }
  });

  test("a CloudEvent brings its own source, id, trace, deadline and sequence", async () => {
    const subject = testServer();
    const traceparent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
    const { status } = await send(subject, {
      url: "/api/v1/commands",
      headers: { "content-type": "application/cloudevents+json; charset=utf-8" },
      payload: JSON.stringify({
        specversion: "1.0",
        type: "environment.destroy",
        subject: "shop",
        source: "/pipelines/7",
        id: "evt-1",
        datacontenttype: "application/json",
        data: { now: true },
        traceparent,
        deadline: "2026-01-31T12:00:00Z",
        correlationid: "c-1",
        ifsequence: 7,
        actor: "ann",
      }),
    });
    assert.equal(status, 202);
    assert.deepEqual(subject.services.requests, [
      {
        type: "environment.destroy",
        subject: "shop",
        source: "/pipelines/7",
        id: "evt-1",
        data: { now: true },
        traceparent,
        deadline: "2026-01-31T12:00:00Z",
        correlationId: "c-1",
        ifSequence: 7,
        actor: "ann",
      },
    ]);
  });

  test("a command of an unknown type is refused", async () => {
    const payload = { type: "environment.explode", subject: "shop" };
    const { status, body } = await send(testServer(), { url: "/api/v1/commands", payload });
    assert.equal(status, 400);
    assert.equal(problemView.parse(body).errors?.[0]?.pointer, "/type");
  });

  test("a source of the service itself is refused", async () => {
    const payload = {
      type: "environment.destroy",
      subject: "shop",
      id: "a",
      source: "glasshouse/lifetime",
    };
    const { status, body } = await send(testServer(), { url: "/api/v1/commands", payload });
    assert.equal(status, 400);
    assert.equal(problemView.parse(body).errors?.[0]?.pointer, "/source");
  });

  test("a key and an id that differ are refused", async () => {
    const payload = { type: "environment.refresh", subject: "shop", id: "a" };
    const options = { url: "/api/v1/commands", payload, headers: { "idempotency-key": "b" } };
    assert.equal((await send(testServer(), options)).status, 400);
  });

  test("If-Match hands the sequence on, and refuses one that has moved", async () => {
    const subject = testServer();
    const update = {
      method: "PATCH",
      url: "/api/v1/environments/shop",
      payload: { description: "x" },
    } as const;
    await send(subject, { ...update, headers: { "if-match": '"env_1.7"' } });
    assert.equal(subject.services.requests[0]?.ifSequence, 7);
    for (const tag of ['"env_1.6"', '"env_0.7"', "7"]) {
      const { status, body } = await send(subject, { ...update, headers: { "if-match": tag } });
      assert.equal(status, 412);
      assert.equal(problemView.parse(body).code, "precondition-failed");
    }
    assert.equal(subject.services.requests.length, 1);
  });

  test("the trace of the request goes on with the command", async () => {
    const subject = testServer();
    const traceparent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
    await send(subject, { ...create, headers: { traceparent } });
    await send(subject, { ...create, headers: { traceparent: "00-0-0-0" } });
    const [first, second] = subject.services.requests;
    assert.equal(first?.traceparent, traceparent);
    assert.match(second?.traceparent ?? "", /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/u);
  });
});
