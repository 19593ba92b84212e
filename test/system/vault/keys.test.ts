import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { z } from "zod";
import { assertClean, assertFilesClean } from "../../support/canary.ts";
import { documentedPolicy } from "../../support/rotation.ts";
import { Site } from "../../support/site.ts";
import { Vault } from "../../support/vault.ts";
import { vaultSkip } from "../../support/vault-program.ts";

const keySchema = z.object({
  data: z.object({
    data: z.record(z.string(), z.string()),
    metadata: z.object({ version: z.int() }),
  }),
});
describe("keys in Vault as a part of an environment", { skip: vaultSkip }, () => {
  let vault: Vault;
  let site: Site;
  const seen: string[] = [];
  const variables = async (): Promise<Readonly<Record<string, string>>> => ({
    GLASSHOUSE_VAULT_ADDRESS: vault.url,
    GLASSHOUSE_VAULT_TOKEN: "env:THE_TOKEN",
    THE_TOKEN: await vault.token(["glasshouse"], { no_default_policy: true }),
  });
  before(async () => {
    vault = await Vault.start();
    await vault.policy("glasshouse", documentedPolicy("keys"));
    site = await Site.open({ env: await variables() });
    await site.register({
      name: "keys",
      more: {
        secrets: { password: {} },
        parameters: { user: { type: "string", default: "shop" } },
        outputs: { where: "${{ groups.credentials.outputs.path }}" },
      },
      groups: {
        credentials: {
          more: {
            executor: "vault-secrets",
            with: {
              path: "shop/${{ environment.name }}",
              data: { user: "${{ parameters.user }}", password: "${{ secrets.password }}" },
            },
            outputs: ["path", "password"],
          },
        },
      },
    });
  });
  after(async () => {
    await site.close();
    await vault.close();
  });

  async function key(name: string): Promise<z.output<typeof keySchema>["data"]> {
    const { data } = keySchema.parse(await vault.request("GET", `secret/data/shop/${name}`));
    seen.push(data.data["password"] ?? "");
    return data;
  }

  test("are written with what was generated, and once", async () => {
    const run = await site.create("one", "keys");
    assert.equal(run.status, "succeeded", run.reason ?? "");
    const { data, metadata } = await key("one");
    assert.equal(data["user"], "shop");
    assert.match(data["password"] ?? "", /^[A-Za-z0-9]{32}$/u);
    assert.equal(metadata.version, 1);
    assert.deepEqual((await site.environment("one")).outputs, { where: "shop/one" });
    const again = await site.update("one", {});
    assert.equal(again.progress.skipped, again.progress.total);
  });

  test("have a new version when a value changes or is rotated", async () => {
    assert.equal((await site.update("one", { parameters: { user: "root" } })).status, "succeeded");
    const changed = await key("one");
    assert.deepEqual([changed.metadata.version, changed.data["user"]], [2, "root"]);
    await site.settled(await site.ask("POST", "/environments/one/rotate"));
    const rotated = await key("one");
    assert.equal(rotated.metadata.version, 3);
    assert.notEqual(rotated.data["password"], changed.data["password"]);
  });

  test("that another has changed are drift, not overwritten, and put right once that was shown", async () => {
    await vault.request("POST", "secret/data/shop/one", { data: { user: "mallory" } });
    const refused = await site.update("one", { parameters: { user: "shop" } });
    assert.equal(refused.status, "failed");
    assert.match(refused.reason ?? "", /Somebody else has changed secret\/shop\/one/u);
    assert.equal((await key("one")).data["user"], "mallory");
    await site.settled(await site.command("environment.refresh", "one"));
    const mended = await site.update("one", {});
    assert.equal(mended.status, "succeeded", mended.reason ?? "");
    assert.equal((await key("one")).data["user"], "shop");
  });

  test("that are another's are never taken over", async () => {
    await vault.request("POST", "secret/data/shop/taken", { data: { user: "theirs" } });
    const run = await site.create("taken", "keys");
    assert.equal(run.status, "failed");
    assert.match(run.reason ?? "", /did not make it/u);
    assert.equal((await site.destroy("taken")).status, "succeeded");
    assert.equal((await key("taken")).data["user"], "theirs");
  });

  test("are only those that the operator grants to the template, where that is said", async () => {
    const file = join(vault.directory, "glasshouse.yaml");
    const grants = { "*": { paths: ["secret/shop/allowed"] } };
    await writeFile(file, JSON.stringify({ vault: { grants } }));
    await site.server.stop();
    await site.start({ env: await variables(), args: ["--config", file] });
    const refused = await site.create("refused", "keys");
    assert.equal(refused.failure?.code, "forbidden");
    assert.match(refused.failure.message, /secret\/shop\/refused.*vault\.grants/u);
    const allowed = await site.create("allowed", "keys");
    assert.equal(allowed.status, "succeeded", allowed.reason ?? "");
    await site.server.stop();
    await site.start();
  });

  test("go with their environment, with all versions and metadata", async () => {
    assert.equal((await site.destroy("one")).status, "succeeded");
    assert.equal((await vault.send("GET", "secret/metadata/shop/one")).status, 404);
  });

  test("show no value in any answer and file", async () => {
    const run = await site.create("two", "keys");
    await key("two");
    const texts: unknown[] = [await site.plan("two", { parameters: { user: "x" } })];
    for (const path of ["resources", "graph", "drift", "plans", "events"])
      texts.push((await site.send("GET", `/environments/two/${path}`)).body);
    for (const step of await site.steps(run)) texts.push(step, await site.log(step));
    const values = seen.filter((value) => value.length === 32);
    assert.ok(values.length >= 3);
    for (const [at, text] of texts.entries())
      assertClean(`answer ${at}`, Buffer.from(JSON.stringify(text)), values);
    await assertFilesClean(site.data, values);
  });
});
