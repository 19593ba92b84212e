import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test, describe } from "node:test";
import { registerLoad } from "../../support/bus-load.ts";
import { makeCertificates, signCertificate, type Pair } from "../../support/certificates.ts";
import { postgresSkip, TestPostgres } from "../../support/postgres.ts";
import { testDirectory } from "../../support/server.ts";
import { Site, until } from "../../support/site.ts";
import { put } from "../../support/tls-site.ts";
import { newKeyFile } from "../../support/which-store.ts";

describe("a certificate for PostgreSQL from files", { skip: postgresSkip }, () => {
  let directory: Awaited<ReturnType<typeof testDirectory>>;
  let postgres: TestPostgres;
  let site: Site;
  let shown: Pair;
  before(async () => {
    directory = await testDirectory();
    const own = await makeCertificates(join(directory.path, "tls"));
    postgres = await TestPostgres.start({ tls: { ...own.server, clients: own.authority } });
    await postgres.query("create role client login");
    await postgres.query("create database environments owner client");
    shown = { certificate: join(directory.path, "c.pem"), key: join(directory.path, "c.key") };
    await put(own.client, shown);
    site = await Site.open({
      env: {
        GLASSHOUSE_TELEMETRY_LEVEL: "info",
        GLASSHOUSE_STORE_URL: `postgres://client@127.0.0.1:${postgres.port}/environments`,
        GLASSHOUSE_STORE_TLS_CA: own.authority,
        GLASSHOUSE_STORE_TLS_CERTIFICATE: shown.certificate,
        GLASSHOUSE_STORE_TLS_KEY: shown.key,
        GLASSHOUSE_SECURITY_KEY: await newKeyFile(directory.path),
      },
    });
  });
  after(async () => {
    await site.close();
    await postgres.remove();
    await directory.remove();
  });

  async function replaced(name: string): Promise<void> {
    await put(await signCertificate(join(directory.path, "tls"), name), shown);
    process.kill(site.server.pid, "SIGHUP");
  }

  const handOvers = (): number =>
    site.server.output.split("The store goes on with new credentials").length - 1;
  const health = async (): Promise<string> =>
    JSON.stringify((await site.server.send("GET", "/health")).body);

  test("is gone over to when the files change, while runs go on", async () => {
    await registerLoad(site);
    for (let n = 1; n <= 3; n += 1) {
      const [run] = await Promise.all([site.create(`e${n}`, "load"), replaced("client")]);
      assert.equal(run.status, "succeeded");
      await until(
        async () => handOvers(),
        (times) => times === n,
        10_000,
      );
    }
  });

  test("is not gone over to when it will not do, or PostgreSQL does not take it", async () => {
    await replaced("server");
    // It names nobody that PostgreSQL knows.
    await until(
      async () => site.server.output,
      (output) => /"New credentials of the store are not taken yet/u.test(output),
      10_000,
    );
    assert.equal((await site.create("meanwhile", "load")).status, "succeeded");
    await put({ ...shown, key: join(directory.path, "tls", "authority.key") }, shown);
    await until(health, (said) => /"store certificate".*key does not belong/u.test(said), 10_000);
    await replaced("client");
    await until(
      async () => handOvers(),
      (times) => times === 4,
      10_000,
    );
    assert.doesNotMatch(await health(), /does not belong/u);
    assert.equal((await site.create("afterwards", "load")).status, "succeeded");
  });
});
