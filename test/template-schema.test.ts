import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { settingsShape as command } from "../src/adapters/executors/command/settings.ts";
import { settingsShape as vaultCertificates } from "../src/adapters/executors/vault-certificates/settings.ts";
import { settingsShape as vaultSecrets } from "../src/adapters/executors/vault-secrets/settings.ts";
import { settingsShape as consulKv } from "../src/adapters/executors/consul-kv/settings.ts";
import { settingsShape as terraform } from "../src/adapters/executors/terraform/settings.ts";
import { templateJsonSchema } from "../src/contract/template-schema.ts";

const place = new URL("../docs/reference/template.schema.json", import.meta.url);

test("docs/reference/template.schema.json is current (GLASSHOUSE_WRITE_REFERENCE=1 writes it)", async () => {
  const schema = templateJsonSchema([
    { name: "command", settings: command },
    { name: "consul-kv", settings: consulKv },
    { name: "vault-secrets", settings: vaultSecrets },
    { name: "vault-certificates", settings: vaultCertificates },
    { name: "terraform", settings: terraform },
  ]);
  const text = `${JSON.stringify(schema, null, 2)}\n`;
  if (process.env["GLASSHOUSE_WRITE_REFERENCE"] === "1") await writeFile(place, text);
  assert.equal(await readFile(place, "utf8"), text);
});
