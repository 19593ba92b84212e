import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { z } from "zod";
import { runProgram } from "../../../src/cli/program.ts";
import { fakeTerminal } from "../../../src/cli/terminal.fixture.ts";
import { environmentView } from "../../../src/contract/rest-environment.ts";
import { Site, until } from "../../support/site.ts";

describe("the queue", () => {
  let site: Site;
  before(async () => {
    site = await Site.open();
    await site.register({
      name: "counter",
      more: { parameters: { n: { type: "integer", default: 0 } } },
      groups: { a: "${{ parameters.n }}" },
    });
  });
  after(() => site.close());

  test("twenty updates at once become few runs; the last wish holds and every command ends with its run", async () => {
    const release = await site.outside.hold("many", "a");
    const creation = await site.ask("POST", "/environments", {
      body: { name: "many", template: "counter" },
    });
    await site.begun("many", "begin-create many.a");
    const updates = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        site.ask("PATCH", "/environments/many", { body: { parameters: { n: n + 1 } } }),
      ),
    );
    const runs = new Set(updates.map((command) => command.run));
    assert.equal(runs.size, 1);
    const [first] = updates;
    assert.ok(first !== undefined);
    const queued = await site.run(first.run);
    assert.equal(queued.status, "queued");
    assert.equal(queued.position, 1);
    await release();
    assert.equal((await site.settled(creation)).status, "succeeded");
    assert.equal((await site.settled(first)).status, "succeeded");
    for (const command of updates)
      assert.equal((await site.commandNow(command)).status, "completed");
    const wanted = z.number().parse((await site.environment("many")).parameters["n"]);
    assert.equal(await site.outside.read("many.a.made"), `${wanted}`);
    assert.equal((await site.outside.ledger("many")).length, 4);
    const { generation, appliedGeneration } = await site.environment("many");
    assert.equal(generation, 21);
    assert.equal(appliedGeneration, 21);
  });

  test("whoever waits for a queued run is told what it waits for, once", async () => {
    const release = await site.outside.hold("told", "a");
    const creation = await site.ask("POST", "/environments", {
      body: { name: "told", template: "counter" },
    });
    await site.begun("told", "begin-create told.a");
    const terminal = fakeTerminal({ env: { GLASSHOUSE_SERVER: site.server.url, NO_COLOR: "1" } });
    const line = ["env", "update", "told", "--param", "n=1", "--wait"];
    const ended = runProgram(line, terminal);
    const wait = `it is queued: it waits for run ${creation.run ?? ""} of the same environment`;
    await until(
      async () => terminal.errors(),
      (said) => said.includes(wait),
    );
    await release();
    assert.equal(await ended, 0);
    assert.equal(terminal.errors().split(wait).length, 2, terminal.errors());
    assert.match(terminal.output(), /^told {2}deployed-ok$/mu);
  });

  test("a wish that comes while its run is being worked on gets a run of its own", async () => {
    await site.create("next", "counter");
    const release = await site.outside.hold("next", "a");
    const one = await site.ask("PATCH", "/environments/next", { body: { parameters: { n: 1 } } });
    await site.begun("next", "begin-update next.a 1");
    const two = await site.ask("PATCH", "/environments/next", { body: { parameters: { n: 2 } } });
    assert.notEqual(one.run, two.run);
    await release();
    assert.equal((await site.settled(two)).status, "succeeded");
    assert.equal((await site.run(one.run)).status, "succeeded");
    assert.equal(await site.outside.read("next.a.made"), "2");
  });

  test("a destroy supersedes queued updates, and their commands say so", async () => {
    const release = await site.outside.hold("over", "a");
    await site.ask("POST", "/environments", { body: { name: "over", template: "counter" } });
    await site.begun("over", "begin-create over.a");
    const update = await site.ask("PATCH", "/environments/over", {
      body: { parameters: { n: 5 } },
    });
    const destroy = await site.ask("DELETE", "/environments/over");
    assert.equal((await site.run(update.run)).status, "superseded");
    const superseded = await site.commandNow(update);
    assert.equal(superseded.status, "superseded");
    const refused = await site.refused("PATCH", "/environments/over", {
      body: { parameters: { n: 6 } },
    });
    assert.equal(refused.status, 409);
    await release();
    assert.equal((await site.settled(destroy)).status, "succeeded");
    assert.equal(await site.outside.read("over.a.made"), null);
  });

  test("the same key with the same body takes effect once; with another body it is refused", async () => {
    const headers = { "idempotency-key": "create-key-1" };
    const body = { name: "keyed", template: "counter" };
    const first = await site.ask("POST", "/environments", { body, headers });
    const again = await site.ask("POST", "/environments", { body, headers });
    assert.equal(again.id, first.id);
    assert.equal(again.run, first.run);
    const other = await site.refused("POST", "/environments", {
      body: { ...body, template: "counter@1.0.0" },
      headers,
    });
    assert.equal(other.code, "command-reused");
    await site.settled(first);
    const late = await site.ask("POST", "/environments", { body, headers });
    assert.equal(late.id, first.id);
    assert.equal(late.status, "completed");
  });

  test("a refusal is remembered: the same key is refused again after the state would allow it", async () => {
    await site.create("taken", "counter");
    const headers = { "idempotency-key": "taken-key" };
    const body = { name: "taken", template: "counter" };
    const first = await site.refused("POST", "/environments", { body, headers });
    assert.equal(first.code, "already-exists");
    await site.destroy("taken");
    const second = await site.refused("POST", "/environments", { body, headers });
    assert.equal(second.code, "already-exists");
  });

  test("fifty identical creates at once make one environment", async () => {
    const headers = { "idempotency-key": "fifty" };
    const body = { name: "fifty", template: "counter" };
    const commands = await Promise.all(
      Array.from({ length: 50 }, () => site.ask("POST", "/environments", { body, headers })),
    );
    assert.equal(new Set(commands.map((command) => command.id)).size, 1);
    const [first] = commands;
    assert.ok(first !== undefined);
    await site.settled(first);
    assert.equal((await site.outside.ledger("fifty")).length, 2);

    const racing = await Promise.all(
      Array.from({ length: 50 }, () =>
        site.send("POST", "/environments", { body: { name: "race", template: "counter" } }),
      ),
    );
    const statuses = racing.map(({ status }) => status);
    assert.equal(statuses.filter((status) => status === 202).length, 1);
    assert.equal(statuses.filter((status) => status === 409).length, 49);
    const list = z.object({ items: z.array(environmentView) });
    const { items } = list.parse(await site.get("/environments?limit=500&destroyed"));
    assert.equal(items.filter(({ name }) => name === "race").length, 1);
  });

  test("If-Match refuses a change of what has moved", async () => {
    await site.create("etag", "counter");
    const seen = await site.send("GET", "/environments/etag");
    const etag = seen.headers.get("etag") ?? "";
    assert.equal(
      (await site.send("GET", "/environments/etag", { headers: { "if-none-match": etag } })).status,
      304,
    );
    const headers = { "if-match": etag };
    const body = { parameters: { n: 1 } };
    await site.settled(await site.ask("PATCH", "/environments/etag", { body, headers }));
    const stale = await site.refused("PATCH", "/environments/etag", {
      body: { parameters: { n: 2 } },
      headers,
    });
    assert.equal(stale.status, 412);
    assert.equal(await site.outside.read("etag.a.made"), "1");
  });

  test("updates in a storm end with the last wish and no run left over", async () => {
    await site.create("storm", "counter");
    const commands = [];
    for (let n = 1; n <= 30; n += 1)
      commands.push(
        await site.ask("PATCH", "/environments/storm", { body: { parameters: { n } } }),
      );
    const last = commands.at(-1);
    assert.ok(last !== undefined);
    assert.equal((await site.settled(last, 20_000)).status, "succeeded");
    for (const command of commands)
      assert.equal((await site.commandNow(command)).status, "completed");
    assert.equal(await site.outside.read("storm.a.made"), "30");
    assert.equal((await site.environment("storm")).activeRun, null);
  });
});
