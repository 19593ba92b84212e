import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { after, before, describe, test } from "node:test";
import { healthView } from "../../../src/contract/rest-service.ts";
import { problemView } from "../../../src/contract/problem.ts";
import { Site } from "../../support/site.ts";

describe("while the host of a repository is down", () => {
  let site: Site;
  let host: string;
  let connections = 0;
  const listener = createServer((socket) => {
    connections += 1;
    socket.destroy();
  });

  before(async () => {
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
    const address = listener.address();
    assert.ok(address !== null && typeof address === "object");
    host = `127.0.0.1:${address.port}`;
    site = await Site.open();
    await site.register({ name: "small", groups: { only: "one" } });
  });
  after(async () => {
    listener.close();
    await site.close();
  });

  const register = () =>
    site.send("POST", "/templates", { body: { repository: `https://${host}/shop.git` } });
  const metric = async (line: string): Promise<number> => {
    const { body } = await site.server.send("GET", "/metrics");
    const found = String(body)
      .split("\n")
      .find((one) => one.startsWith(`${line} `));
    return Number(found?.split(" ")[1] ?? Number.NaN);
  };

  test("its templates are refused with the time to come back, at once after a while, and all else goes on", async () => {
    const first = await register();
    assert.equal(first.status, 503);
    assert.equal(problemView.parse(first.body).code, "unavailable");
    assert.ok(Number(first.headers.get("retry-after")) >= 1);
    await register();
    const reached = connections;
    const refused = await register();
    assert.equal(connections, reached, "nothing is sent to it any more");
    assert.ok(reached > 0);
    const problem = problemView.parse(refused.body);
    assert.match(problem.detail, /git 127\.0\.0\.1:\d+ is down.*nothing is sent to it for now/u);
    assert.ok(Number(refused.headers.get("retry-after")) >= 1);
    assert.equal((await site.create("one", "small")).status, "succeeded");
  });

  test("its breaker is shown with advice, and what the server stands on is not down with it", async () => {
    const health = healthView.parse(await site.get("/health"));
    assert.equal(health.status, "degraded");
    assert.equal(health.ready, true);
    const shown = health.dependencies.find(({ name }) => name === `git ${host}`);
    assert.equal(shown?.status, "down");
    assert.equal(shown.breaker?.state, "open");
    assert.match(shown.breaker.lastError ?? "", /cannot be reached/u);
    assert.ok(Date.parse(shown.breaker.retryAt ?? "") > Date.parse(shown.breaker.since ?? ""));
    assert.match(shown.advice ?? "", /Everything else goes on/u);
    assert.equal((await site.server.send("GET", "/readyz")).status, 200);
  });

  test("metrics say the same, and what the server did meanwhile", async () => {
    assert.equal(await metric('glasshouse_remote_breakers{remote="git",state="open"}'), 1);
    const calls = "glasshouse_remote_call_duration_seconds_count";
    assert.equal(await metric(`${calls}{remote="git",outcome="refused"}`), 1);
    assert.equal(await metric(`${calls}{remote="git",outcome="failed"}`), 2);
    const commands = "glasshouse_commands_total";
    assert.equal(await metric(`${commands}{type="template.register",outcome="unavailable"}`), 3);
    assert.equal(await metric(`${commands}{type="environment.create",outcome="accepted"}`), 1);
    const runs = "glasshouse_run_duration_seconds_count";
    assert.equal(await metric(`${runs}{kind="create",outcome="succeeded"}`), 1);
    const steps = "glasshouse_step_duration_seconds_count";
    const done = '{executor="command",phase="apply",outcome="succeeded"}';
    assert.equal(await metric(`${steps}${done}`), 1);
    assert.equal(await metric("glasshouse_queue_runs"), 0);
    assert.equal(await metric("glasshouse_child_processes"), 0);
    assert.ok((await metric("glasshouse_journal_position")) > 0);
    const route = "/api/v1/environments/{environment}";
    const requests = "glasshouse_http_request_duration_seconds_count";
    await site.get("/environments/one");
    const seen = await metric(`${requests}{method="GET",route="${route}",status="200"}`);
    assert.ok(seen >= 1);
  });
});
