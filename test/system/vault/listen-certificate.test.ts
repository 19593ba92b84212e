import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { z } from "zod";
import { loadConfig } from "../../../src/app/config.ts";
import { certificateFindings } from "../../../src/app/doctor-certificate.ts";
import { lookDeps } from "../../support/look-deps.ts";
import { documentedPolicy } from "../../support/rotation.ts";
import { TestServer } from "../../support/server.ts";
import { until } from "../../support/site.ts";
import { askWhile, shownSerial } from "../../support/tls-site.ts";
import { makePki, makeRole } from "../../support/vault-pki.ts";
import { Vault } from "../../support/vault.ts";
import { vaultSkip } from "../../support/vault-program.ts";

const rootSchema = z.object({ data: z.object({ certificate: z.string() }) });

describe("the certificate that is served from Vault's PKI", { skip: vaultSkip }, () => {
  let vault: Vault;
  let server: TestServer;
  let ca: string;
  let env: Readonly<Record<string, string>>;
  before(async () => {
    vault = await Vault.start();
    await makePki(vault);
    await role({ ttl: "8s" });
    await vault.policy("glasshouse", documentedPolicy("certificate"));
    const root = rootSchema.parse(await vault.request("GET", "pki/cert/ca"));
    ca = root.data.certificate;
    env = {
      GLASSHOUSE_TELEMETRY_LEVEL: "info",
      GLASSHOUSE_VAULT_ADDRESS: vault.url,
      GLASSHOUSE_VAULT_TOKEN: "env:TOKEN_OF_VAULT",
      TOKEN_OF_VAULT: await vault.token(["glasshouse"], { no_default_policy: true }),
      GLASSHOUSE_TLS_ISSUE: "vault:pki/issue/glasshouse",
      GLASSHOUSE_TLS_NAMES: "localhost,127.0.0.1",
    };
    server = await TestServer.start({ data: join(vault.directory, "data"), env, trust: { ca } });
  });
  after(async () => {
    await server.stop();
    await vault.close();
  });

  /** For names of this machine only. */
  async function role(more: object): Promise<void> {
    // What is not said would stay as it is.
    await vault.request("DELETE", "pki/roles/glasshouse");
    await makeRole(vault, "glasshouse", {
      allow_any_name: false,
      allow_localhost: true,
      not_before_duration: "1s",
      ...more,
    });
  }

  const port = (): number => Number(new URL(server.url).port);

  async function health(): Promise<string> {
    return JSON.stringify((await server.send("GET", "/health")).body);
  }

  test("is replaced before it ends, again and again under requests, and none of them fails", async () => {
    const serials = new Set<string>();
    const seen = until(
      async () => serials.add(await shownSerial(port())).size,
      (count) => count >= 4,
      40_000,
    );
    const of = { url: server.url, ca };
    const [fresh, kept] = await Promise.all([
      askWhile({ ...of, keepAlive: false }, seen),
      askWhile({ ...of, keepAlive: true }, seen),
    ]);
    await seen;
    assert.deepEqual([fresh.failed, kept.failed], [[], []]);
    assert.ok(fresh.asked > 300, `only ${fresh.asked}`);
    assert.doesNotMatch(server.output, /"level":"(?:error|warn)"/u);
  });

  test("is kept when there is no other one, which health says; and replaced when there is", async () => {
    await role({ ttl: "8s", server_flag: false });
    await until(health, (said) => /"degraded".*not for servers/u.test(said), 15_000);
    await role({ ttl: "8s" });
    await until(health, (said) => /"name":"certificate"[^}]*"status":"up"/u.test(said), 15_000);
    await vault.policy("glasshouse", 'path "auth/token/lookup-self" { capabilities = ["read"] }');
    await until(health, (said) => /"degraded".*pki\/issue\/glasshouse/u.test(said), 15_000);
    await vault.policy("glasshouse", documentedPolicy("certificate"));
    await until(health, (said) => /"name":"certificate"[^}]*"status":"up"/u.test(said), 15_000);
  });

  test("is looked at by doctor, and refused by name where the configuration cannot be meant", async () => {
    const finding = async (more: Readonly<Record<string, string>>): Promise<string> => {
      const given = { ...env, ...more };
      const { config } = await loadConfig({ env: given, flags: {}, cwd: vault.directory });
      const [found] = await certificateFindings(config, lookDeps(given));
      return `${found?.level} ${found?.found}`;
    };
    assert.match(
      await finding({}),
      /^good Vault issues one for localhost, 127\.0\.0\.1, good until/u,
    );
    const other = { GLASSHOUSE_TLS_NAMES: "lab.example.com" };
    assert.match(await finding(other), /^bad .*lab\.example\.com not allowed/u);
    const started = await TestServer.start({
      data: join(vault.directory, "refused"),
      env: { ...env, ...other },
    }).then(() => "it started", String);
    assert.match(started, /lab\.example\.com not allowed/u);
    for (const [more, why] of [
      [{ GLASSHOUSE_TLS_NAMES: "" }, /tls\.issue needs tls\.names/u],
      [{ GLASSHOUSE_TLS_KEY: "/k.pem" }, /tls\.issue gives certificate and key/u],
      [{ GLASSHOUSE_VAULT_ADDRESS: "" }, /tls\.issue is in Vault: it needs vault\.address/u],
      [{ GLASSHOUSE_TLS_ISSUE: "vault:pki/glasshouse" }, /must be vault:<mount>\/issue\/<role>/u],
    ] as const)
      assert.match(await finding(more).catch(String), why);
  });
});
