import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as command from "../src/adapters/executors/command/settings.ts";
import * as consulKv from "../src/adapters/executors/consul-kv/settings.ts";
import * as terraform from "../src/adapters/executors/terraform/settings.ts";
import * as vaultCertificates from "../src/adapters/executors/vault-certificates/settings.ts";
import * as vaultSecrets from "../src/adapters/executors/vault-secrets/settings.ts";
import { asyncApiDocument } from "../src/contract/asyncapi.ts";
import { openApiDocument } from "../src/contract/openapi.ts";
import { templateJsonSchema } from "../src/contract/template-schema.ts";
import manifest from "../package.json" with { type: "json" };
import { configurationPage } from "./configuration-page.ts";
import { errorsPage } from "./errors-page.ts";
import { metricsPage } from "./metrics-page.ts";

/** `npm run generate`: writes the pages that are made from the source. Tests fail while they differ. */
function write(path: string, text: string): void {
  const file = join(import.meta.dirname, "..", path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

const templateSchema = templateJsonSchema([
  { name: "command", settings: command.settingsShape },
  { name: "consul-kv", settings: consulKv.settingsShape },
  { name: "vault-secrets", settings: vaultSecrets.settingsShape },
  { name: "vault-certificates", settings: vaultCertificates.settingsShape },
  { name: "terraform", settings: terraform.settingsShape },
]);

write("docs/errors.md", errorsPage());
write("docs/metrics.md", metricsPage());
write("docs/configuration.md", configurationPage());
write("docs/reference/template.schema.json", `${JSON.stringify(templateSchema, null, 2)}\n`);
write(
  "docs/reference/openapi.json",
  `${JSON.stringify(openApiDocument(manifest.version), null, 2)}\n`,
);
write(
  "docs/reference/asyncapi.json",
  `${JSON.stringify(asyncApiDocument(manifest.version), null, 2)}\n`,
);
