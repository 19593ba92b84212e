import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { healthView } from "../../../src/contract/rest-service.ts";
import { problemView } from "../../../src/contract/problem.ts";
import { postgresSkip, TestPostgres } from "../../support/postgres.ts";
import { Site, until } from "../../support/site.ts";

/** "Within seconds", on a machine that may be busy with other tests. */
const secondsMs = 15_000;

describe("while PostgreSQL is down", { skip: postgresSkip }, () => {
  let postgres: TestPostgres;
  let site: Site;
  let keys: string;

  before(async () => {
    postgres = await TestPostgres.start();
    keys = await mkdtemp(join(tmpdir(), "glasshouse-keys-"));
    const key = join(keys, "root.key");
    await writeFile(key, `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
    site = await Site.open({
      env: {
        GLASSHOUSE_STORE_URL: postgres.url(await postgres.createDatabase()),
        GLASSHOUSE_STORE_POOL: "4",
        GLASSHOUSE_SECURITY_KEY: key,
      },
    });
    await site.register({ name: "small", groups: { only: "one" } });
    await site.register({
      name: "slow",
      groups: { first: "1", second: "${{ groups.first.outputs.value }}" },
    });
  });
  after(async () => {
    await site.close();
    await postgres.remove();
    await rm(keys, { recursive: true, force: true });
  });

  const metric = async (line: string): Promise<number> => {
    const { body } = await site.server.send("GET", "/metrics");
    const lines = String(body).split("\n");
    return Number(lines.find((one) => one.startsWith(`${line} `))?.split(" ")[1] ?? Number.NaN);
  };
  const open = 'glasshouse_remote_breakers{remote="store",state="open"}';
  const halfOpen = 'glasshouse_remote_breakers{remote="store",state="half-open"}';

  test("the process lives and says why it does not serve; reads are refused by type; what runs goes on when it is back", async () => {
    const letGo = await site.outside.hold("slow", "first");
    const command = await site.ask("POST", "/environments", {
      body: { name: "slow", template: "slow" },
    });
    await site.begun("slow", "begin-create slow.first");
    await postgres.stop("immediate");

    // Connections break, and three openings fail: from then on nobody waits for what cannot come.
    await until(
      async () => (await metric(open)) + (await metric(halfOpen)),
      (count) => count === 1,
      secondsMs,
    );
    assert.equal((await site.server.send("GET", "/livez")).status, 200);
    const ready = await site.server.send("GET", "/readyz");
    assert.equal(ready.status, 503);
    assert.match(JSON.stringify(ready.body), /PostgreSQL/u);
    // The step's program ends while its outcome cannot be written.
    await letGo();
    for (const path of ["/environments", "/environments/slow", `/runs/${command.run}`]) {
      const answer = await site.send("GET", path);
      assert.equal(answer.status, 503, path);
      assert.equal(problemView.parse(answer.body).code, "unavailable");
      assert.ok(Number(answer.headers.get("retry-after")) >= 1);
    }
    const refused = await site.send("POST", "/environments", {
      body: { name: "late", template: "small" },
    });
    assert.equal(problemView.parse(refused.body).code, "unavailable");
    const { status, body } = await site.send("GET", "/health");
    assert.equal(status, 503);
    const store = healthView.parse(body).dependencies.find(({ name }) => name === "store");
    assert.equal(store?.status, "down");
    assert.notEqual(store.breaker?.state, "closed");
    assert.match(store.breaker?.lastError ?? "", /connection to PostgreSQL is lost|refused/iu);
    assert.match(store.advice ?? "", /work goes on by itself/u);
    assert.ok((await site.server.send("GET", "/metrics")).status === 200);

    await postgres.start();
    await until(
      async () => (await site.server.send("GET", "/readyz")).status,
      (seen) => seen === 200,
      secondsMs,
    );
    const run = await site.settled(command, secondsMs);
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.deepEqual(await site.outside.ledger("slow"), [
      "begin-create slow.first 1",
      "create slow.first 1",
      "begin-create slow.second 1",
      "create slow.second 1",
    ]);
    assert.equal((await site.create("after", "small")).status, "succeeded");
    assert.equal(await metric(open), 0);
    const health = healthView.parse(await site.get("/health"));
    assert.equal(
      health.dependencies.find(({ name }) => name === "store")?.breaker?.state,
      "closed",
    );
  });
});
