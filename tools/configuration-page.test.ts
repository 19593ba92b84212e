import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { configKeys } from "../src/app/config-keys.ts";
import { configurationPage } from "./configuration-page.ts";

const page = readFileSync(join(import.meta.dirname, "../docs/configuration.md"), "utf8");

test("docs/configuration.md says what the configuration's schema says (npm run generate writes it)", () => {
  assert.equal(page, configurationPage());
});

test("every key of the configuration stands in docs/configuration.md", () => {
  assert.ok(configKeys.length > 20);
  const missing = configKeys.filter(({ key }) => !page.includes(`\`${key}\``));
  assert.deepEqual(
    missing.map(({ key }) => key),
    [],
  );
});
