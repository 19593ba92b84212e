import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { loadConfig } from "../../../src/app/config.ts";
import { storeFindings } from "../../../src/app/doctor-store.ts";
import { registerLoad } from "../../support/bus-load.ts";
import { makeCertificates, type Certificates } from "../../support/certificates.ts";
import { lookDeps } from "../../support/look-deps.ts";
import { postgresSkip, TestPostgres } from "../../support/postgres.ts";
import { documentedPolicy } from "../../support/rotation.ts";
import { TestServer } from "../../support/server.ts";
import { Site, until } from "../../support/site.ts";
import { makePki, makeRole } from "../../support/vault-pki.ts";
import { Vault } from "../../support/vault.ts";
import { vaultSkip } from "../../support/vault-program.ts";
import { newKeyFile } from "../../support/which-store.ts";

const rootSchema = z.object({ data: z.object({ certificate: z.string() }) });
const lifetime = "8s";
const replacements = 5;

describe(
  "the certificate for PostgreSQL from Vault's PKI",
  { skip: vaultSkip || postgresSkip },
  () => {
    let vault: Vault;
    let certificates: Certificates;
    let postgres: TestPostgres;
    let site: Site;
    let env: Readonly<Record<string, string>>;
    before(async () => {
      vault = await Vault.start();
      await makePki(vault);
      // The user of the URL, and nobody else.
      await makeRole(vault, "glasshouse", {
        allow_any_name: false,
        allowed_domains: "keeper",
        allow_bare_domains: true,
        server_flag: false,
        not_before_duration: "1s",
        ttl: lifetime,
      });
      await vault.policy("glasshouse", documentedPolicy("certificate"));
      certificates = await makeCertificates(join(vault.directory, "tls"));
      const root = rootSchema.parse(await vault.request("GET", "pki/cert/ca"));
      const clients = join(vault.directory, "clients.pem");
      await writeFile(clients, root.data.certificate);
      postgres = await TestPostgres.start({ tls: { ...certificates.server, clients } });
      await postgres.query("create role keeper login");
      await postgres.query("create database environments owner keeper");
      env = {
        GLASSHOUSE_TELEMETRY_LEVEL: "info",
        GLASSHOUSE_VAULT_ADDRESS: vault.url,
        GLASSHOUSE_VAULT_TOKEN: "env:TOKEN_OF_VAULT",
        TOKEN_OF_VAULT: await vault.token(["glasshouse"], { no_default_policy: true }),
        GLASSHOUSE_STORE_URL: `postgres://keeper@127.0.0.1:${postgres.port}/environments`,
        GLASSHOUSE_STORE_TLS_CA: certificates.authority,
        GLASSHOUSE_STORE_TLS_ISSUE: "vault:pki/issue/glasshouse",
        GLASSHOUSE_SECURITY_KEY: await newKeyFile(vault.directory),
        GLASSHOUSE_ENGINE_LEASE: "6s",
      };
      site = await Site.open({ env });
    });
    after(async () => {
      await site.close();
      await Promise.all([vault.close(), postgres.remove()]);
    });

    /** The numbers of the certificates that its connections have shown. */
    async function shown(): Promise<readonly string[]> {
      const rows = await postgres.query(
        `select distinct "client_serial"::text as "serial" from pg_stat_ssl s
           join pg_stat_activity a using ("pid") where a."usename" = 'keeper'`,
      );
      return rows.map(({ serial }) => String(serial));
    }

    const handOvers = (): number =>
      site.server.output.split("The store goes on with new credentials").length - 1;

    test("is replaced again and again under commands, and none of them fails", async () => {
      await registerLoad(site);
      const failed: string[] = [];
      const sending: Promise<unknown>[] = [];
      const first = await shown();
      let sent = 0;
      for (const deadline = Date.now() + 90_000; handOvers() < replacements; sent += 1) {
        assert.ok(Date.now() < deadline, `${handOvers()} hand-overs only`);
        const send = sent % 10 === 0 ? create(`c${sent}`) : read();
        sending.push(send.catch((error: unknown) => failed.push(String(error))));
        await sleep(20);
      }
      await Promise.all(sending);
      assert.deepEqual(failed, []);
      assert.ok(sent > 500, `only ${sent} were sent`);
      // Also what listens, what numbers and what renews the worker's lease.
      const now = await until(shown, (serials) => serials.length === 1, 10_000);
      assert.ok(!first.includes(now[0] ?? ""), "the first one is shown still");
      assert.doesNotMatch(site.server.output, /"level":"(?:error|warn)"/u);
      const metrics = String((await site.server.send("GET", "/metrics")).body);
      assert.match(metrics, /tls_certificates_total\{use="store",outcome="taken"\} [5-9]/u);
      const health = JSON.stringify((await site.server.send("GET", "/health")).body);
      assert.match(health, /"store certificate",.*for keeper, good until/u);
    });

    async function create(name: string): Promise<void> {
      const run = await site.create(name, "load");
      if (run.status !== "succeeded") throw new Error(`${name}: ${run.status}`);
    }

    async function read(): Promise<void> {
      const { status } = await site.send("GET", "/environments?limit=1");
      if (status !== 200) throw new Error(`read: ${status}`);
    }

    test("is looked at by doctor, and refused by name where it cannot be meant", async () => {
      const finding = async (more: Readonly<Record<string, string>>): Promise<string> => {
        const given = { ...env, ...more };
        const { config } = await loadConfig({ env: given, flags: {}, cwd: vault.directory });
        const [found] = await storeFindings(config, lookDeps(given));
        return `${found?.level} ${found?.found}`;
      };
      assert.match(await finding({}), /^good PostgreSQL .* with TLS/u);
      const other = { GLASSHOUSE_STORE_TLS_COMMON_NAME: "somebody" };
      assert.match(await finding(other), /^bad .*somebody not allowed/u);
      const { GLASSHOUSE_STORE_URL: url = "" } = env;
      const inClear = { GLASSHOUSE_STORE_URL: `${url}?sslmode=disable` };
      assert.match(
        await finding(inClear),
        /^bad .*a certificate \(store\.tls\) is shown only with TLS/u,
      );
      const refused = (more: Readonly<Record<string, string>>): Promise<string> =>
        TestServer.start({ data: join(vault.directory, "refused"), env: { ...env, ...more } }).then(
          async (server) => server.stop().then(() => "it started"),
          String,
        );
      assert.match(
        await refused({ GLASSHOUSE_STORE_TLS_CERTIFICATE: certificates.client.certificate }),
        /store\.tls\.issue gives certificate and key/u,
      );
      assert.match(
        await refused({ GLASSHOUSE_STORE_URL: "sqlite" }),
        /store\.tls\.issue is for PostgreSQL, and state is kept in a file/u,
      );
      // PostgreSQL knows the authority of its own server, not that of this client.
      const files = {
        GLASSHOUSE_STORE_TLS_ISSUE: "",
        GLASSHOUSE_STORE_TLS_CERTIFICATE: certificates.client.certificate,
        GLASSHOUSE_STORE_TLS_KEY: certificates.client.key,
      };
      assert.match(await finding(files).catch(String), /^bad /u);
    });
  },
);
