import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { globSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import * as command from "../src/adapters/executors/command/settings.ts";
import * as consulKv from "../src/adapters/executors/consul-kv/settings.ts";
import * as terraform from "../src/adapters/executors/terraform/settings.ts";
import { compileTemplate } from "../src/templates/compile.ts";
import { fileLookup } from "../src/templates/paths.ts";

const root = join(import.meta.dirname, "..");
const samples = join(root, "templates");

describe("the samples", () => {
  const names = globSync("*/template.yaml", { cwd: samples }).map(
    (path) => path.split("/")[0] ?? "",
  );

  test("are discovery, hello, secret, web-shop and wide", () => {
    assert.deepEqual(names.toSorted(), ["discovery", "hello", "secret", "web-shop", "wide"]);
  });

  for (const name of names) {
    test(`${name} names its schema in the first line and has a short README`, () => {
      const [first] = readFileSync(join(samples, name, "template.yaml"), "utf8").split("\n");
      const schema = "../../docs/reference/template.schema.json";
      assert.equal(first, `# yaml-language-server: $schema=${schema}`);
      const readme = readFileSync(join(samples, name, "README.md"), "utf8")
        .trimEnd()
        .split("\n");
      assert.ok(readme.length <= 15, `${readme.length} lines`);
    });
  }

  for (const name of names) {
    test(`${name} is a template without a mistake, and warns of its daemon at most`, () => {
      const folder = join(samples, name);
      const compiled = compileTemplate({
        file: `templates/${name}/template.yaml`,
        text: readFileSync(join(folder, "template.yaml"), "utf8"),
        hasFile: fileLookup(globSync("**/*", { cwd: folder })),
        executors: [
          { name: "command", settings: command.settingsShape, validate: command.validateSettings },
          {
            name: "consul-kv",
            settings: consulKv.settingsShape,
            validate: consulKv.validateSettings,
          },
          {
            name: "terraform",
            settings: terraform.settingsShape,
            validate: terraform.validateSettings,
          },
        ],
      });
      const found = "problems" in compiled ? compiled.problems : compiled.warnings;
      const expected = name === "web-shop" ? ["/groups/web/with/leavesProcesses"] : [];
      const pointers = found.map(({ pointer }) => pointer);
      assert.deepEqual(pointers, expected, JSON.stringify(found, null, 2));
    });
  }

  test("wide is what its generator writes", () => {
    const written = spawnSync(join(samples, "wide/generate"), { encoding: "utf8" });
    assert.equal(readFileSync(join(samples, "wide/template.yaml"), "utf8"), written.stdout);
    assert.equal(written.stdout.match(/executor: command/gu)?.length, 100);
  });

  test("have shell programs that parse and may be run", () => {
    const programs = globSync("**/*", { cwd: samples }).filter((path) =>
      isProgram(join(samples, path)),
    );
    assert.ok(programs.length >= 10, `only ${programs.length} programs`);
    for (const program of programs) {
      const file = join(samples, program);
      assert.notEqual(statSync(file).mode & 0o111, 0, `${program} is not executable`);
      const parsed = spawnSync("sh", ["-n", file], { encoding: "utf8" });
      assert.equal(parsed.stderr, "", program);
    }
  });
});

function isProgram(file: string): boolean {
  return statSync(file).isFile() && readFileSync(file, "utf8").startsWith("#!/bin/sh");
}
