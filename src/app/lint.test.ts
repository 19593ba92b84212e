import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { unpack } from "../adapters/sources/archive/index.ts";
import { isError } from "../testing/source-contract.ts";
import { lintDirectory, packDirectory } from "./lint.ts";

const root = await mkdtemp(join(tmpdir(), "glasshouse-lint-"));
after(() => rm(root, { recursive: true, force: true }));

const good = `apiVersion: glasshouse/v1
kind: Template
name: small
version: 1.0.0
description: One command
groups:
  one: { executor: command, with: { create: [./make], destroy: ["true"], observe: ["true"] } }
`;

async function folder(text: string | null): Promise<string> {
  const directory = await mkdtemp(join(root, "t"));
  await writeFile(join(directory, "make"), "#!/bin/sh\n", { mode: 0o755 });
  if (text !== null) await writeFile(join(directory, "template.yaml"), text);
  return directory;
}

describe("lint in process", () => {
  test("says name, version and number of groups of a good template", async () => {
    const result = await lintDirectory(await folder(good), "small");
    assert.deepEqual(result.mistakes, []);
    assert.deepEqual(result.template, { name: "small", version: "1.0.0" });
    assert.equal(result.groups, 1);
  });

  test("names mistakes by the folder as it was given, with line and column", async () => {
    const text = good
      .replace("./make", "./nothing")
      .replace("executor: command", "executor: comand");
    const { mistakes, template } = await lintDirectory(await folder(text), "templates/small");
    assert.equal(template, null);
    assert.match(mistakes[0]?.place ?? "", /^templates\/small\/template\.yaml:7:\d+$/u);
  });

  test("knows the executors' own rules and the files of the folder", async () => {
    const text = good.replace("./make", "./nothing");
    const { mistakes } = await lintDirectory(await folder(text), "x");
    assert.match(mistakes.map(({ message }) => message).join("\n"), /nothing/u);
  });

  test("says when there is no template, or it is not text", async () => {
    await assert.rejects(lintDirectory(await folder(null), "x"), isError("not-found", /in x/u));
    const directory = await folder(null);
    await writeFile(join(directory, "template.yaml"), Uint8Array.of(0xff, 0xfe));
    await assert.rejects(lintDirectory(directory, "x"), isError("invalid-template", /UTF-8/u));
    await assert.rejects(
      packDirectory(await folder(null)),
      isError("not-found", /template\.yaml/u),
    );
  });

  test("packs the folder as it is registered", async () => {
    const { files } = await unpack(await packDirectory(await folder(good)));
    assert.deepEqual(
      files.map(({ path, mode }) => [path, mode]),
      [
        ["make", 0o755],
        ["template.yaml", 0o644],
      ],
    );
  });
});
