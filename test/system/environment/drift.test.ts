import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { terraformConfigurationFile } from "../../../tools/tools-directory.ts";
import { Site } from "../../support/site.ts";
import { engines } from "../terraform/engines.ts";

const engine = engines.find(({ skip }) => skip === false) ?? engines[0];

describe("drift on demand", () => {
  let site: Site;
  before(async () => {
    const configuration = terraformConfigurationFile();
    site = await Site.open({
      env: {
        ...(existsSync(configuration) ? { TF_CLI_CONFIG_FILE: configuration } : {}),
        GLASSHOUSE_EXECUTORS_TERRAFORM_PROGRAM: engine?.path ?? "terraform",
      },
    });
    await site.register({ name: "three", groups: { a: "1", b: "2", c: "3" } });
  });
  after(() => site.close());

  test("a look finds what was removed and what was changed, changes nothing and says which", async () => {
    await site.create("looks", "three");
    const clean = await site.drift("looks");
    assert.equal(clean.drifted, false);
    assert.ok(clean.groups.every((group) => group.drift === "none"));
    await site.outside.remove("looks.a.made");
    await site.outside.write("looks.b.made", "other");
    const ledger = await site.outside.ledger("looks");
    const drift = await site.drift("looks");
    assert.equal(drift.drifted, true);
    const found = drift.groups.map((group) => [group.group, group.drift] as const);
    assert.deepEqual(Object.fromEntries(found), { a: "missing", b: "drifted", c: "none" });
    const environment = await site.environment("looks");
    assert.equal(environment.drifted, true);
    assert.equal(environment.status, "deployed-ok");
    assert.deepEqual(await site.outside.ledger("looks"), ledger);
  });

  test("an update repairs only what has drifted", async () => {
    await site.create("mends", "three");
    await site.outside.remove("mends.b.made");
    await site.drift("mends");
    const earlier = (await site.outside.ledger("mends")).length;
    const run = await site.update("mends", {});
    assert.equal(run.status, "succeeded", run.reason ?? "");
    const acted = (await site.outside.ledger("mends")).slice(earlier);
    assert.deepEqual(
      acted.map((line) => line.split(" ")[1]),
      ["mends.b", "mends.b"],
    );
    assert.deepEqual(await site.outside.made("mends"), ["a", "b", "c"]);
    assert.equal((await site.environment("mends")).drifted, false);
    assert.equal((await site.drift("mends")).drifted, false);
  });

  test("drift that mends itself is told as undrifted", async () => {
    await site.create("heals", "three");
    await site.outside.write("heals.c.made", "wrong");
    await site.drift("heals");
    await site.outside.write("heals.c.made", "3");
    assert.equal((await site.drift("heals")).drifted, false);
    assert.equal((await site.environment("heals")).drifted, false);
    const types = (await site.events("heals")).map((event) => event.type.split(".").at(-1));
    assert.equal(types.filter((type) => type === "drifted").length, 1);
    assert.equal(types.filter((type) => type === "undrifted").length, 1);
  });

  test(
    "Terraform: what was removed by hand is found by address, and an update makes only that again",
    { skip: engine === undefined ? "no engine" : engine.skip },
    async () => {
      const file = site.outside.path("by-terraform");
      await site.register({
        name: "tf",
        groups: { other: "1", file: { more: terraformGroup(file) } },
        files: { "file/main.tf": main },
      });
      const created = await site.create("tf", "tf");
      assert.equal(created.status, "succeeded", created.reason ?? "");
      assert.equal(await readFile(file, "utf8"), "made by hand of terraform");
      assert.equal((await site.drift("tf")).drifted, false);
      await rm(file);
      const drift = await site.drift("tf");
      assert.equal(drift.drifted, true);
      const group = drift.groups.find(({ group: name }) => name === "file");
      assert.notEqual(group?.drift, "none");
      assert.match(JSON.stringify(group?.changes), /local_file\.it/u);
      const earlier = (await site.outside.ledger("tf")).length;
      const run = await site.update("tf", {});
      assert.equal(run.status, "succeeded", run.reason ?? "");
      assert.equal(await readFile(file, "utf8"), "made by hand of terraform");
      assert.equal((await site.outside.ledger("tf")).length, earlier);
      const step = await site.step(run, "apply:tf/file");
      assert.deepEqual(
        step.changes.map(({ address, action }) => [address, action]),
        [["local_file.it", "create"]],
      );
      await writeFile(file, "tampered with");
      assert.equal((await site.drift("tf")).drifted, true);
      assert.equal((await site.destroy("tf")).status, "succeeded");
    },
  );
});

function terraformGroup(file: string): Readonly<Record<string, unknown>> {
  return {
    executor: "terraform",
    outputs: ["path"],
    with: { source: "./file", variables: { path: file } },
  };
}

const main = `
terraform {
  required_providers {
    local = { source = "hashicorp/local" }
  }
}
variable "path" { type = string }
resource "local_file" "it" {
  filename = var.path
  content  = "made by hand of terraform"
}
resource "terraform_data" "still" { input = "x" }
output "path" { value = local_file.it.filename }
`;
