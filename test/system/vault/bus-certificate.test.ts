import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { loadComplaints, orderMany, registerLoad } from "../../support/bus-load.ts";
import { openBusSite, type BusSite } from "../../support/bus-site.ts";
import { rabbitmqSkip } from "../../support/rabbitmq.ts";
import { documentedPolicy } from "../../support/rotation.ts";
import { TestServer } from "../../support/server.ts";
import { until } from "../../support/site.ts";
import { Vault } from "../../support/vault.ts";
import { vaultSkip } from "../../support/vault-program.ts";

describe("the client's certificate that Vault issues", { skip: vaultSkip || rabbitmqSkip }, () => {
  let vault: Vault;
  let at: BusSite;
  let env: Readonly<Record<string, string>>;
  before(async () => {
    vault = await Vault.start();
    await vault.request("POST", "sys/mounts/pki", { type: "pki" });
    await vault.policy("glasshouse", documentedPolicy("certificate"));
    const token = await vault.token(["glasshouse"], { no_default_policy: true });
    at = await openBusSite(
      {},
      {
        broker: { tls: "verify" },
        url: async (broker) => {
          await issueAs(broker.certificates?.authority ?? "");
          return broker.tlsUrlOf(0);
        },
        env: ({ certificates }) =>
          (env = {
            GLASSHOUSE_TELEMETRY_LEVEL: "info",
            GLASSHOUSE_VAULT_ADDRESS: vault.url,
            GLASSHOUSE_VAULT_TOKEN: "env:TOKEN_OF_VAULT",
            TOKEN_OF_VAULT: token,
            GLASSHOUSE_BUS_TLS_CA: certificates?.authority ?? "",
            GLASSHOUSE_BUS_TLS_ISSUE: "vault:pki/issue/glasshouse",
          }),
      },
    );
  });
  after(async () => {
    await at.close();
    await vault.close();
  });

  /** The authority that the broker trusts is Vault's from now on. */
  async function issueAs(authority: string): Promise<void> {
    const key = await readFile(join(dirname(authority), "authority.key"), "utf8");
    const bundle = `${key}\n${await readFile(authority, "utf8")}`;
    await vault.request("POST", "pki/config/ca", { pem_bundle: bundle });
    await vault.request("POST", "pki/roles/glasshouse", {
      allow_bare_domains: true,
      allowed_domains: "glasshouse",
      key_type: "ec",
      key_bits: 256,
      not_before_duration: "0s",
      ttl: "12s",
    });
  }

  function refused(more: Readonly<Record<string, string>>): Promise<string> {
    const data = join(vault.directory, "refused");
    return TestServer.start({ data, env: { ...env, ...more } }).then(
      async (server) => server.stop().then(() => "it started"),
      String,
    );
  }

  test("is shown to the broker, and replaced under load before it ends without a restart", async () => {
    await registerLoad(at.site);
    const ordering = orderMany(at.client, { prefix: "c", count: 40, everyMs: 500 });
    await until(
      async () => at.site.server.output.split("The bus goes on with new credentials").length - 1,
      (times) => times >= 2,
    );
    assert.deepEqual(await loadComplaints(at, await ordering), []);
    const subjects = await at.broker.control(["list_connections", "peer_cert_subject", "ssl"]);
    assert.match(subjects, /CN=glasshouse/u);
    const metrics = String((await at.site.server.send("GET", "/metrics")).body);
    assert.match(metrics, /tls_certificate_expiry_seconds\{use="bus"\} \d/u);
    assert.doesNotMatch(at.site.server.output, /"level":"error"/u);
  });

  test("is refused by name where the configuration cannot be meant", async () => {
    const url = { GLASSHOUSE_BUS_URL: at.broker.tlsUrlOf(0) };
    assert.match(
      await refused({ ...url, GLASSHOUSE_BUS_TLS_ISSUE: "vault:pki/glasshouse" }),
      /must be vault:<mount>\/issue\/<role>/u,
    );
    assert.match(
      await refused({ ...url, GLASSHOUSE_BUS_TLS_KEY: "/etc/key.pem" }),
      /bus\.tls\.issue gives certificate and key/u,
    );
    assert.match(
      await refused({ ...url, GLASSHOUSE_BUS_TLS_COMMON_NAME: "other" }),
      /common name other not allowed/u,
    );
  });
});
