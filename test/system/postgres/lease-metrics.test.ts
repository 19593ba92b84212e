import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { metricOf } from "../../support/metrics.ts";
import { postgresSkip, TestPostgres } from "../../support/postgres.ts";
import { testDirectory } from "../../support/server.ts";
import { Site, until } from "../../support/site.ts";

const leaseSeconds = 3;

suite("the metrics of a lease", { skip: postgresSkip }, () => {
  let postgres: TestPostgres;
  let keys: Awaited<ReturnType<typeof testDirectory>>;
  let site: Site;
  before(async () => {
    postgres = await TestPostgres.start();
    const url = postgres.url(await postgres.createDatabase());
    keys = await testDirectory();
    const key = join(keys.path, "key");
    await writeFile(key, randomBytes(32).toString("base64"), { mode: 0o600 });
    const env = {
      GLASSHOUSE_STORE_URL: url,
      GLASSHOUSE_SECURITY_KEY: key,
      GLASSHOUSE_ENGINE_LEASE: `${leaseSeconds}s`,
    };
    site = await Site.open({ env });
  });
  after(async () => {
    await site.close();
    await keys.remove();
    await postgres.remove();
  });

  test("say that it is held, how long it lasts, and how often it had ended before it was renewed", async () => {
    const { server } = site;
    // A server takes requests before it works on steps.
    await until(
      () => metricOf(server, "glasshouse_lease_held"),
      (held) => held === 1,
    );
    assert.equal(await metricOf(server, "glasshouse_lease_lapses_total"), 0);
    const lasts = (await metricOf(server, "glasshouse_lease_remaining_seconds")) ?? 0;
    assert.ok(lasts > 0 && lasts <= leaseSeconds, `${lasts} s`);
    process.kill(server.pid, "SIGSTOP");
    await sleep(leaseSeconds * 1_000 + 500);
    process.kill(server.pid, "SIGCONT");
    await until(
      () => metricOf(server, "glasshouse_lease_held"),
      (held) => held === 1,
    );
    assert.equal(await metricOf(server, "glasshouse_lease_lapses_total"), 1);
  });

  test("say that nothing is held while the store is away, and how often it could not be renewed", async () => {
    const failed = "glasshouse_lease_renewals_failed_total";
    const known = (await metricOf(site.server, failed)) ?? 0;
    await postgres.stop("fast");
    await until(
      () => metricOf(site.server, "glasshouse_lease_held"),
      (held) => held === 0,
    );
    assert.ok(((await metricOf(site.server, failed)) ?? 0) > known);
    await postgres.start();
    await until(
      () => metricOf(site.server, "glasshouse_lease_held"),
      (held) => held === 1,
    );
  });
});
