import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { z } from "zod";
import { observedView, resourceView } from "../../../src/contract/rest-resource.ts";
import { consulSkip } from "../../support/consul-program.ts";
import { consulVariables, shopPolicy } from "../../support/consul-site.ts";
import { Consul } from "../../support/consul.ts";
import { groupPolicy } from "../../support/group-certificate-site.ts";
import { Site } from "../../support/site.ts";
import { Vault } from "../../support/vault.ts";
import { makePki } from "../../support/vault-pki.ts";
import { vaultSkip } from "../../support/vault-program.ts";

const ofEnvironment = z.object({ items: z.array(resourceView), observed: z.array(observedView) });
const listed = z.object({ items: z.array(resourceView) });

function ofExecutor(executor: string, settings: object, name: string) {
  return { more: { executor, with: settings, outputs: [], resources: { [name]: {} } } };
}

describe(
  "what was seen of keys, secrets and certificates",
  { skip: vaultSkip || consulSkip },
  () => {
    let vault: Vault;
    let consul: Consul;
    let site: Site;
    before(async () => {
      [vault, consul] = await Promise.all([Vault.start(), Consul.start()]);
      await makePki(vault);
      await vault.policy("glasshouse", groupPolicy);
      site = await Site.open({
        env: consulVariables(consul, await consul.newToken(shopPolicy), {
          env: {
            GLASSHOUSE_VAULT_ADDRESS: vault.url,
            GLASSHOUSE_VAULT_TOKEN: "env:THE_TOKEN",
            THE_TOKEN: await vault.token(["glasshouse"], { no_default_policy: true }),
          },
        }),
      });
      const path = "shop/${{ environment.name }}";
      const names = { role: "web", commonName: "${{ environment.name }}.example.com" };
      await site.register({
        name: "seen",
        groups: {
          keys: ofExecutor("consul-kv", { prefix: `${path}/`, keys: { host: "db" } }, "settings"),
          login: ofExecutor(
            "vault-secrets",
            { path: `${path}/db`, data: { user: "shop" } },
            "account",
          ),
          tls: ofExecutor("vault-certificates", { path: `${path}/tls`, ...names }, "certificate"),
        },
      });
      assert.equal((await site.create("one", "seen")).status, "succeeded");
    });
    after(async () => {
      await site.close();
      await Promise.all([vault.close(), consul.close()]);
    });

    const seen = async (): Promise<z.output<typeof ofEnvironment>> =>
      ofEnvironment.parse(await site.get("/environments/one/resources"));

    /** Status by declared resource, as the list of all environments has it too. */
    async function statuses(): Promise<Readonly<Record<string, string>>> {
      const { items } = await seen();
      const all = listed.parse(await site.get("/resources")).items;
      const of = (list: typeof items): Readonly<Record<string, string>> =>
        Object.fromEntries(list.map(({ group, status }) => [group, status]));
      assert.deepEqual(of(all), of(items));
      return of(items);
    }

    const addresses = async (): Promise<readonly string[]> =>
      (await seen()).observed.map(({ type, address }) => `${type} ${address}`).toSorted();

    const all = [
      "consul_key shop/one/host",
      "vault_kv_secret secret/shop/one/db",
      "vault_pki_certificate secret/shop/one/tls",
    ];

    test("is listed by type and address from the first apply on", async () => {
      assert.deepEqual(await addresses(), all);
      assert.deepEqual(await statuses(), { keys: "present", login: "present", tls: "present" });
      for (const { attributes, externalId, observedAt } of (await seen()).observed) {
        assert.ok(externalId !== null && Object.keys(attributes).length > 0);
        assert.ok(Date.now() - Date.parse(observedAt) < 60_000);
      }
    });

    test("a look that finds nothing changed says so and keeps the list", async () => {
      const drift = await site.drift("one");
      assert.deepEqual(new Set(drift.groups.map((group) => group.drift)), new Set(["none"]));
      assert.deepEqual(await addresses(), all);
    });

    test("what others changed is drift, by address, and still there", async () => {
      await consul.put("shop/one/host", "another");
      for (const name of ["db", "tls"])
        await vault.request("POST", `secret/data/shop/one/${name}`, { data: { user: "another" } });
      const { drifted, groups } = await site.drift("one");
      assert.equal(drifted, true);
      assert.deepEqual(
        groups.map(({ group, drift, changes }) => [group, drift, changes[0]?.address]),
        [
          ["keys", "drifted", "shop/one/host"],
          ["login", "drifted", "secret/shop/one/db"],
          ["tls", "drifted", "secret/shop/one/tls"],
        ],
      );
      assert.deepEqual(await addresses(), all);
      assert.deepEqual(await statuses(), { keys: "drifted", login: "drifted", tls: "drifted" });
      assert.equal((await site.update("one", {})).status, "succeeded");
      assert.deepEqual(await statuses(), { keys: "present", login: "present", tls: "present" });
    });

    test("what others took away is missing, and not listed until it is made again", async () => {
      await consul.remove("shop/one/host");
      for (const name of ["db", "tls"])
        await vault.request("DELETE", `secret/metadata/shop/one/${name}`);
      const { groups } = await site.drift("one");
      assert.deepEqual(
        groups.map(({ group, drift, changes }) => [group, drift, changes[0]?.action]),
        [
          ["keys", "missing", "create"],
          ["login", "missing", "create"],
          ["tls", "missing", "create"],
        ],
      );
      assert.deepEqual(await addresses(), []);
      assert.equal((await site.environment("one")).drifted, true);
      assert.equal((await site.update("one", {})).status, "succeeded");
      assert.deepEqual(await addresses(), all);
    });

    test("goes with the environment", async () => {
      assert.equal((await site.destroy("one")).status, "succeeded");
      assert.deepEqual(await addresses(), []);
    });
  },
);
