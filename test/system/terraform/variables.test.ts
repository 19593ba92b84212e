import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { isJsonObject, type Json } from "../../../src/lib/json.ts";
import { TestGroup } from "../../../src/testing/executor-group.ts";
import { engines } from "./engines.ts";

const root = mkdtempSync(join(tmpdir(), "glasshouse-variables-"));
after(() => rmSync(root, { recursive: true, force: true }));

const hard = "$${x} $$${x} ${ %%{x} \\${ ~} <<EOT /* # // ${~x~}"
  .split(" ")
  .concat(["\u0000", "\u2028", "a\r\nb", "\u0085", "\u{1F600}", "\t", "<<EOT\n", "\ufeff"]);
const numbers = [1e21, 1e-7, -0, 9007199254740991, 1.7976931348623157e308, 5e-324];
const anyJson = fc.json().map((text): Json => JSON.parse(text));
const anyText = fc.string({ unit: "binary" });

for (const { name, executor, skip } of engines) {
  test(`${name} reads back every JSON value that it is given as a variable`, { skip }, async () => {
    const values: Json = [
      ...hard,
      Object.fromEntries(hard.map((text, index) => [text, index])),
      ...numbers,
      [],
      {},
      null,
      true,
      ...fc.sample(anyJson, 300),
      ...fc.sample(anyText, 300),
    ];
    const text = 'variable "v" { type = any }\noutput "v" { value = jsonencode(var.v) }\n';
    const group = new TestGroup(join(mkdtempSync(join(root, "v-")), "work"), {
      settings: { source: ".", variables: { v: values } },
      files: { "main.tf": { text } },
      outputs: ["v"],
    });
    const { outputs } = await executor.apply(group.context());
    const back: unknown = JSON.parse(typeof outputs["v"] === "string" ? outputs["v"] : "");
    assert.deepEqual(back, asTerraformKeepsIt(values));
  });
}

/** Text in Unicode's composed form, without lone surrogates; no negative zero. */
function asTerraformKeepsIt(value: Json): Json {
  if (typeof value === "string") return value.toWellFormed().normalize("NFC");
  if (Array.isArray(value)) return value.map((item: Json) => asTerraformKeepsIt(item));
  if (!isJsonObject(value)) return value === 0 ? 0 : value;
  const members = Object.entries(value).map(([key, item]) => [
    asTerraformKeepsIt(key),
    asTerraformKeepsIt(item),
  ]);
  return Object.fromEntries(members);
}
