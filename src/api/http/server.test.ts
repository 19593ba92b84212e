import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { InjectOptions } from "fastify";
import { GlasshouseError } from "../../domain/errors.ts";
import { problemView, type Problem } from "../../contract/problem.ts";
import { testServer, type Subject } from "./server.fixture.ts";

const host = "127.0.0.1:8080";

async function ask(subject: Subject, options: InjectOptions): Promise<Reply> {
  const reply = await subject.app.inject({ ...options, headers: { host, ...options.headers } });
  return { status: reply.statusCode, headers: reply.headers, text: reply.payload };
}

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

function problemIn(reply: Reply): Problem {
  assert.match(String(reply.headers["content-type"]), /^application\/problem\+json\b/u);
  const problem = problemView.parse(JSON.parse(reply.text));
  assert.equal(problem.status, reply.status);
  assert.equal(problem.type, `/api/v1/docs/errors#${problem.code}`);
  return problem;
}

const create = {
  method: "POST",
  url: "/api/v1/environments",
  payload: JSON.stringify({ name: "shop", template: "web" }),
} as const;
const json = { "content-type": "application/json" };

const bodyOf = (length: number): string =>
  JSON.stringify({ name: "a", template: "b", parameters: { x: "x".repeat(length) } });

suite("what the server refuses", () => {
  const hosts: readonly (readonly [string, number])[] = [
    ["127.0.0.1:8080", 200],
    ["localhost", 200],
    ["LOCALHOST:1", 200],
    ["[::1]:8080", 200],
    ["127.8.9.1", 200],
    ["glasshouse.example.com:443", 200],
    ["evil.example.com", 403],
    ["127.0.0.1.evil.example.com", 403],
    ["localhost.evil.example.com", 403],
    ["evil.example.com:127", 403],
  ];
  for (const [name, status] of hosts) {
    test(`a request for the host "${name}" gets ${status}`, async () => {
      const reply = await ask(testServer(), { url: "/livez", headers: { host: name } });
      assert.equal(reply.status, status);
      if (status === 403) assert.equal(problemIn(reply).code, "forbidden");
    });
  }

  const origins: readonly (readonly [string, number])[] = [
    ["http://127.0.0.1:8080", 200],
    ["http://127.0.0.1:3000", 403],
    ["http://localhost:8080", 403],
    ["https://evil.example.com", 403],
    ["null", 403],
    ["http://127.0.0.1:8080@evil.example.com", 403],
  ];
  for (const [origin, status] of origins) {
    test(`a page of ${origin} gets ${status}, reads included`, async () => {
      const subject = testServer();
      const read = await ask(subject, { url: "/api/v1/environments", headers: { origin } });
      assert.equal(read.status, status);
      assert.equal(read.headers["access-control-allow-origin"], undefined);
      if (status === 200) return;
      const write = await ask(subject, { ...create, headers: { ...json, origin } });
      assert.equal(write.status, 403);
      assert.equal(subject.services.requests.length, 0);
    });
  }

  test("a script of another site is refused by what its browser says, a link is not", async () => {
    const site = { "sec-fetch-site": "same-site" };
    const script = await ask(testServer(), {
      url: "/livez",
      headers: { ...site, "sec-fetch-mode": "no-cors" },
    });
    assert.equal(script.status, 403);
    const link = await ask(testServer(), {
      url: "/livez",
      headers: { ...site, "sec-fetch-mode": "navigate" },
    });
    assert.equal(link.status, 200);
  });

  test("there is no preflight to allow anything", async () => {
    const reply = await ask(testServer(), { method: "OPTIONS", url: "/api/v1/environments" });
    assert.equal(problemIn(reply).code, "method-not-allowed");
  });

  const types = [
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "text/plain; application/json",
    "application/json; charset=utf-16",
    "application/gzip",
    "",
  ];
  for (const type of types) {
    test(`a body of type "${type}" is refused with 415 and nothing happens`, async () => {
      const subject = testServer();
      const headers = { "content-type": type };
      const reply = await ask(subject, { ...create, headers });
      assert.equal(reply.status, 415);
      assert.equal(problemIn(reply).code, "unsupported-media-type");
      assert.equal(subject.services.requests.length, 0);
    });
  }

  test("a JSON body over 1 MiB is refused with 413, one just below is not", async () => {
    const subject = testServer();
    const big = await ask(subject, { ...create, payload: bodyOf(1_048_576), headers: json });
    assert.equal(problemIn(big).code, "too-large");
    assert.equal(big.status, 413);
    const fits = await ask(subject, { ...create, payload: bodyOf(1_048_000), headers: json });
    assert.equal(fits.status, 202);
  });

  test("an archive may have 16 MiB, on the one path that takes archives", async () => {
    const subject = testServer();
    const headers = { "content-type": "application/gzip" };
    const payload = Buffer.alloc(16 * 1024 * 1024);
    const fits = await ask(subject, { method: "POST", url: "/api/v1/templates", payload, headers });
    assert.equal(fits.status, 202);
    assert.equal(subject.services.requests[0]?.archive?.length, payload.length);
    const larger = Buffer.alloc(17 * 1024 * 1024);
    const big = await ask(subject, {
      method: "POST",
      url: "/api/v1/templates",
      payload: larger,
      headers,
    });
    assert.equal(problemIn(big).code, "too-large");
  });

  test("malformed JSON is refused with its place", async () => {
    const reply = await ask(testServer(), {
      ...create,
      payload: '{\n "name": oops }',
      headers: json,
    });
    assert.equal(reply.status, 400);
    assert.deepEqual(
      problemIn(reply).errors?.map(({ place }) => place),
      ["body:2:10"],
    );
  });

  test("deep nesting and __proto__ are refused", async () => {
    const deep = `{"name":"a","template":"b","parameters":{"x":${"[".repeat(1_000)}${"]".repeat(1_000)}}}`;
    const refused = await ask(testServer(), { ...create, payload: deep, headers: json });
    assert.equal(refused.status, 400);
    const hostile = '{"name":"a","template":"b","__proto__":{"admin":true}}';
    const reply = await ask(testServer(), { ...create, payload: hostile, headers: json });
    assert.equal(problemIn(reply).errors?.[0]?.pointer, "/__proto__");
  });

  test("every mistake of a body is named with its JSON pointer", async () => {
    const payload = { name: "UPPER", template: "web", tags: { a: 1 }, colour: "red" };
    const reply = await ask(testServer(), { ...create, payload, headers: json });
    const pointers = problemIn(reply).errors?.map(({ pointer }) => pointer);
    assert.deepEqual(pointers?.toSorted(), ["/colour", "/name", "/tags/a"]);
  });

  test("a missing body is refused, where one is needed", async () => {
    const reply = await ask(testServer(), { method: "POST", url: "/api/v1/environments" });
    assert.equal(problemIn(reply).code, "invalid-request");
  });

  const queries = ["limit=0", "limit=501", "limit=x", "status=odd", "nosuch=1", "limit=1&limit=2"];
  for (const query of queries) {
    test(`the query ?${query} is refused`, async () => {
      const reply = await ask(testServer(), { url: `/api/v1/environments?${query}` });
      assert.equal(problemIn(reply).code, "invalid-request");
      assert.match(problemIn(reply).errors?.[0]?.place ?? "", /^query:/u);
    });
  }

  const unknown = [
    "/api/v1/environments/nosuch",
    "/api/v1/environments/nosuch/graph",
    "/api/v1/environments/nosuch/events",
    "/api/v1/environments/..%2f..%2fetc%2fpasswd",
    "/api/v1/templates/nosuch",
    "/api/v1/templates/web/9.9.9",
    "/api/v1/runs/run_x",
    "/api/v1/runs/run_x/steps",
    "/api/v1/steps/stp_x/log",
    "/api/v1/plans/pln_x",
    "/api/v1/resources/res_x",
    "/api/v1/commands/cmd_x",
    "/api/v1/schemas/nosuch.json",
    "/api/v1/schemas/template",
    "/api/v1/schemas/__proto__.json",
    "/api/v1/nosuch",
    "/api/v2/environments",
    "/",
    "/favicon.ico",
    `/api/v1/environments/${"x".repeat(5_000)}`,
  ];
  for (const url of unknown) {
    test(`${url.slice(0, 60)} is a problem 404`, async () => {
      const reply = await ask(testServer(), { url });
      assert.equal(reply.status, 404);
      assert.equal(problemIn(reply).code, "not-found");
    });
  }

  test("a path that is no URL is refused with 400", async () => {
    const reply = await ask(testServer(), { url: "/api/v1/environments/%zz" });
    assert.equal(problemIn(reply).code, "invalid-request");
  });

  test("a wrong method is refused with the right ones in Allow", async () => {
    const reply = await ask(testServer(), { method: "PUT", url: "/api/v1/environments/shop" });
    assert.equal(reply.status, 405);
    assert.deepEqual(String(reply.headers["allow"]).split(", ").toSorted(), [
      "DELETE",
      "GET",
      "HEAD",
      "PATCH",
    ]);
  });

  const later: readonly (readonly ["GET" | "POST", string])[] = [
    ["GET", "/api/v1/environments/shop/impact"],
    ["GET", "/api/v1/resources/res_1/dependencies?direction=up"],
    ["POST", "/api/v1/graphql"],
  ];
  for (const [method, url] of later) {
    test(`${method} ${url} is answered 501`, async () => {
      const reply = await ask(testServer(), { method, url });
      assert.equal(reply.status, 501);
      assert.equal(problemIn(reply).code, "not-available");
    });
  }

  for (const name of ["extend", "protect", "repair", "import", "forget"]) {
    test(`the command environment.${name} is answered 501`, async () => {
      const payload = { type: `environment.${name}`, subject: "shop", data: {} };
      const url = "/api/v1/commands";
      const reply = await ask(testServer(), { method: "POST", url, payload, headers: json });
      assert.equal(problemIn(reply).code, "not-available");
    });
  }
});

suite("how the server answers", () => {
  test("a fault of the service says nothing of its cause, which is logged once with the trace id", async () => {
    const subject = testServer();
    subject.services.failure = new Error("secret inside at /home/me/x.ts");
    const traceparent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
    const reply = await ask(subject, { url: "/api/v1/environments", headers: { traceparent } });
    assert.equal(reply.status, 500);
    assert.doesNotMatch(reply.text, /secret|home|\.ts/u);
    assert.equal(problemIn(reply).traceId, "0123456789abcdef0123456789abcdef");
    const errors = subject.lines.filter(({ level }) => level === "error");
    assert.deepEqual(
      errors.map(({ fields }) => fields["traceId"]),
      ["0123456789abcdef0123456789abcdef"],
    );
  });

  test("what may pass says when to come back", async () => {
    const subject = testServer();
    subject.services.failure = new GlasshouseError("storage-full", "The disk is full.");
    const reply = await ask(subject, { ...create, headers: json });
    assert.equal(reply.status, 503);
    assert.equal(reply.headers["retry-after"], "5");
  });

  test("every answer forbids framing, sniffing and foreign use", async () => {
    for (const url of ["/livez", "/nosuch", "/api/v1/docs"]) {
      const { headers } = await ask(testServer(), { url });
      assert.match(String(headers["content-security-policy"]), /default-src 'none'/u);
      assert.equal(headers["x-content-type-options"], "nosniff");
      assert.equal(headers["cross-origin-resource-policy"], "same-origin");
    }
  });

  test("reads leave no line in the log, changes one each", async () => {
    const subject = testServer();
    await ask(subject, { url: "/api/v1/environments/shop" });
    await ask(subject, { url: "/api/v1/environments/nosuch" });
    assert.deepEqual(subject.lines, []);
    await ask(subject, { ...create, headers: json });
    await ask(subject, { ...create, payload: "{", headers: json });
    assert.deepEqual(
      subject.lines.map(({ message, fields }) => [message, fields["status"]]),
      [
        ["request", 202],
        ["request", 400],
      ],
    );
  });

  test("HEAD answers as GET does, without the body", async () => {
    const reply = await ask(testServer(), { method: "HEAD", url: "/api/v1/environments/shop" });
    assert.equal(reply.status, 200);
    assert.equal(reply.text, "");
    assert.equal(reply.headers["etag"], '"env_1.7"');
  });

  test("a slash at the end makes no difference", async () => {
    assert.equal((await ask(testServer(), { url: "/api/v1/environments/shop/" })).status, 200);
  });

  test("an ETag from before is answered 304 while it stands", async () => {
    const urls = [
      "/api/v1/environments/shop",
      "/api/v1/environments",
      "/api/v1/runs/run_1",
      "/api/v1/openapi.json",
    ];
    for (const url of urls) {
      const etag = String((await ask(testServer(), { url })).headers["etag"]);
      const same = await ask(testServer(), { url, headers: { "if-none-match": `"x", W/${etag}` } });
      assert.deepEqual([same.status, same.text, same.headers["etag"]], [304, "", etag]);
      const other = await ask(testServer(), { url, headers: { "if-none-match": '"other"' } });
      assert.equal(other.status, 200);
    }
  });
});
