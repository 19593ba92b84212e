import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Configuration } from "./configuration.ts";
import { readConfiguration } from "./configuration.ts";

test("a module of terraform_data alone needs no init", async () => {
  const found = await read({
    "main.tf":
      'resource "terraform_data" "x" {\n  input = var.n\n}\nvariable "n" {}\nvariable "glasshouse" {}',
    "notes.txt": 'module "x" {}',
  });
  assert.equal(found.needsInit, false);
  assert.deepEqual([...found.variables], ["n", "glasshouse"]);
  assert.equal(found.hasFiles, true);
});

test("providers, modules and other types need init", async () => {
  for (const text of [
    'resource "local_file" "x" {}',
    'data "local_file" "x" {}',
    'check "c" {\n  data "http" "x" {}\n}',
    'module "m" {\n  source = "./m"\n}',
    'provider "local" {}',
    'terraform {\n  required_providers {\n    local = { source = "hashicorp/local" }\n  }\n}',
  ]) {
    assert.equal((await read({ "main.tf": text })).needsInit, true, text);
  }
  assert.equal((await read({ "main.tf.json": "{}" })).needsInit, true);
});

test("backends are found in both syntaxes, with their place", async () => {
  const native = await read({ "a.tf": "", "b.tf": 'terraform {\n  backend "s3" {}\n}' });
  assert.equal(native.backendAt, "b.tf:2");
  const cloud = await read({ "a.tf": "terraform {\n  cloud {}\n}" });
  assert.equal(cloud.backendAt, "a.tf:2");
  const json = await read({
    "a.tf.json": '{"terraform":{"backend":{"s3":{}}},"variable":{"v":{}}}',
  });
  assert.equal(json.backendAt, "a.tf.json");
  assert.deepEqual([...json.variables], ["v"]);
});

test("sources of modules are listed as written", async () => {
  const found = await read({ "a.tf": 'module "m" {\n  source = "../m"\n  version = "1"\n}' });
  assert.deepEqual(found.moduleSources, ["../m"]);
});

test("a folder without files says so", async () => {
  assert.equal((await read({ "x.txt": "" })).hasFiles, false);
});

async function read(files: Readonly<Record<string, string>>): Promise<Configuration> {
  const directory = await mkdtemp(join(tmpdir(), "glasshouse-configuration-"));
  try {
    for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
    return await readConfiguration(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}
