import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { z } from "zod";
import { searchHitView } from "../../src/contract/rest-search.ts";
import { assertClean, filesBelow } from "../support/canary.ts";
import { consulSkip } from "../support/consul-program.ts";
import { consulVariables, shopPolicy } from "../support/consul-site.ts";
import { Consul } from "../support/consul.ts";
import { groupPolicy } from "../support/group-certificate-site.ts";
import type { TemplateFacts } from "../support/outside.ts";
import { postgresSkip } from "../support/postgres.ts";
import { Site } from "../support/site.ts";
import { Vault } from "../support/vault.ts";
import { makePki } from "../support/vault-pki.ts";
import { vaultSkip } from "../support/vault-program.ts";
import { ownDatabase, sqliteOnly, type OwnDatabase } from "../support/which-store.ts";
import { engines } from "./terraform/engines.ts";

const engine = engines.find(({ skip }) => skip === false) ?? engines[0];
const found = z.object({ items: z.array(searchHitView), next: z.string().nullable() });
const named = z.object({ items: z.array(z.object({ name: z.string() })) });

/** One word, so that it would be found if it were indexed. */
const canary = "canary7f3a9c1e5b2d8046";

const main = `
variable "token" {
  type      = string
  sensitive = true
}
resource "terraform_data" "server" {
  input = { size = "extralarge", token = var.token }
}
output "size" { value = "extralarge" }
`;

function ofExecutor(executor: string, settings: object, outputs: readonly string[] = []) {
  return {
    more: { executor, with: settings, outputs, resources: { [executor.replace("-", "_")]: {} } },
  };
}

const path = "shop/${{ environment.name }}";

const template: TemplateFacts = {
  name: "sought",
  more: {
    description: "Everything that can be found",
    parameters: { token: { type: "string", secret: true } },
  },
  groups: {
    infra: ofExecutor(
      "terraform",
      { source: "./infra", variables: { token: "${{ parameters.token }}" } },
      ["size"],
    ),
    keys: ofExecutor("consul-kv", { prefix: `${path}/`, keys: { db_host: "db.example.com" } }),
    login: ofExecutor("vault-secrets", {
      path: `${path}/db`,
      data: { user: "shop", password: "${{ parameters.token }}" },
    }),
    tls: ofExecutor("vault-certificates", {
      path: `${path}/tls`,
      role: "web",
      commonName: "${{ environment.name }}.example.com",
    }),
  },
  files: { "infra/main.tf": main },
};

let vault: Vault;
let consul: Consul;
const skip = vaultSkip || consulSkip || engine === undefined || engine.skip;

describe("searching what executors made", { skip }, () => {
  before(async () => {
    [vault, consul] = await Promise.all([Vault.start(), Consul.start()]);
    await makePki(vault);
    await vault.policy("glasshouse", groupPolicy);
  });
  after(() => Promise.all([vault.close(), consul.close()]));

  void describe("with the state in files", { skip: sqliteOnly }, () => {
    searchCases(null);
  });
  void describe("with the state in PostgreSQL", { skip: postgresSkip }, () => {
    searchCases(ownDatabase);
  });
});

function searchCases(database: (() => Promise<OwnDatabase>) | null): void {
  let site: Site;
  let state: OwnDatabase | null = null;
  before(async () => {
    state = database === null ? null : await database();
    site = await Site.open({
      env: consulVariables(consul, await consul.newToken(shopPolicy), {
        env: {
          GLASSHOUSE_EXECUTORS_TERRAFORM_PROGRAM: engine?.path ?? "terraform",
          GLASSHOUSE_VAULT_ADDRESS: vault.url,
          GLASSHOUSE_VAULT_TOKEN: "env:THE_TOKEN",
          THE_TOKEN: await vault.token(["glasshouse"], { no_default_policy: true }),
          ...state?.variables,
        },
      }),
    });
    await site.register(template);
    const more = { parameters: { token: canary }, tags: { team: "core" }, description: "A café" };
    assert.equal((await site.create("one", "sought", more)).status, "succeeded");
  });
  after(async () => {
    await site.close();
    await state?.remove();
  });

  async function names(query: string): Promise<readonly string[]> {
    const { items } = found.parse(await site.get(`/search?q=${encodeURIComponent(query)}`));
    return items.map(({ name }) => name).toSorted();
  }

  const observed = {
    terraform: "terraform_data.server",
    keys: "shop/one/db_host",
    login: "secret/shop/one/db",
    tls: "secret/shop/one/tls",
  };

  test("what was observed is found by address, type and attribute", async () => {
    assert.deepEqual(
      await names("kind:observed environment:one"),
      Object.values(observed).toSorted(),
    );
    for (const [query, name] of [
      ["terraform_data.server", observed.terraform],
      ["type:terraform_data", observed.terraform],
      ["extralarge kind:observed", observed.terraform],
      ["name:db_host", observed.keys],
      ["type:consul_key", observed.keys],
      ['"db.example.com"', observed.keys],
      ["type:vault_kv_secret", observed.login],
      ['name:"secret shop one db"', observed.login],
      ["type:vault_pki_*", observed.tls],
      ['"one example com" kind:observed', observed.tls],
    ] as const)
      assert.deepEqual(await names(query), [name], query);
  });

  test("the rest is found beside it, and in its own lists", async () => {
    assert.deepEqual(await names("cafe tag:team=core"), ["one"]);
    assert.deepEqual(await names("kind:template everything"), ["sought@1.0.0"]);
    for (const [list, query, expected] of [
      ["environments", "status:deployed-ok", ["one"]],
      ["environments", "status:deployed-failed", []],
      ["resources", "group:keys", ["consul_kv"]],
      ["templates", "sou*", ["sought"]],
    ] as const) {
      const { items } = named.parse(await site.get(`/${list}?q=${encodeURIComponent(query)}`));
      assert.deepEqual(
        items.map(({ name }) => name),
        expected,
        `${list} ${query}`,
      );
    }
  });

  test("a query that is not understood says where and what is meant", async () => {
    for (const list of ["search", "environments", "resources", "templates"]) {
      const problem = await site.refused("GET", `/${list}?q=${encodeURIComponent("web staus:x")}`);
      assert.equal(problem.status, 400);
      assert.match(problem.detail, /position 5 .*did you mean status:/u);
    }
    assert.equal((await site.refused("GET", "/search")).status, 400);
    assert.equal((await site.refused("GET", "/environments?q=x&destroyed")).status, 400);
  });

  test("a secret is not found, and stands in no table", async () => {
    for (const query of [canary, `${canary.slice(0, 8)}*`, canary.slice(0, 10).toUpperCase()])
      assert.deepEqual(await names(query), [], query);
    const kept: Buffer[] = state === null ? [] : [Buffer.from(await state.dump())];
    if (state === null) for await (const { bytes } of filesBelow(site.data)) kept.push(bytes);
    const indexed = state === null ? "size extralarge" : "'extralarge':";
    assert.ok(kept.some((bytes) => bytes.includes(indexed)));
    for (const bytes of kept) assertClean("what is kept", bytes, [canary]);
  });

  test("drift is found by status", async () => {
    assert.deepEqual(await names("status:drifted"), []);
    await consul.put("shop/one/db_host", "another");
    assert.equal((await site.drift("one")).drifted, true);
    assert.deepEqual(await names("status:drifted"), ["consul_kv", "one", observed.keys]);
    assert.equal((await site.update("one", {})).status, "succeeded");
    assert.deepEqual(await names("status:drifted"), []);
  });

  test("what is destroyed is found no more", async () => {
    assert.equal((await site.destroy("one")).status, "succeeded");
    assert.deepEqual(await names("-kind:template"), []);
    assert.deepEqual(await names("kind:template sought"), ["sought@1.0.0"]);
  });
}
