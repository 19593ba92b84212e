import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { Options } from "./call.ts";
import { UsageError } from "./failure.ts";
import { readParameters, readTags, type KnownParameters } from "./parameters.ts";
import { fakeTerminal } from "./terminal.fixture.ts";

const cwd = await mkdtemp(join(tmpdir(), "glasshouse-parameters-"));
after(() => rm(cwd, { recursive: true, force: true }));
await writeFile(join(cwd, "token"), "from file\n");
await writeFile(join(cwd, "all.yaml"), "nodes: 2\ntitle: yaml\n");

const known: KnownParameters = {
  title: { type: "string", secret: false },
  nodes: { type: "integer", secret: false },
  ratio: { type: "number", secret: false },
  open: { type: "boolean", secret: false },
  zones: { type: "list", secret: false },
  sizes: { type: "map", secret: false },
  token: { type: "string", secret: true },
};

async function read(param: readonly string[], more: { paramsFile?: string; input?: string } = {}) {
  const terminal = fakeTerminal({ cwd, env: { SECRET: "from env" }, input: more.input ?? "" });
  const { paramsFile } = more;
  const options = new Options({ param, ...(paramsFile === undefined ? {} : { paramsFile }) });
  return { values: await readParameters({ terminal, options }, known), terminal };
}

describe("parameters of a command line", () => {
  test("are converted to the type that the template declares", async () => {
    const { values } = await read([
      "title=3",
      "nodes=-3",
      "ratio=1e-3",
      "open=false",
      'zones=["a", b]',
      "sizes={a: 1}",
      "unknown=5",
    ]);
    assert.deepEqual(values, {
      title: "3",
      nodes: -3,
      ratio: 0.001,
      open: false,
      zones: ["a", "b"],
      sizes: { a: 1 },
      unknown: "5",
    });
  });

  test("that do not fit their type are refused by name", async () => {
    for (const text of [
      "nodes=three",
      "nodes=1.5",
      "nodes=",
      "nodes=99999999999999999999",
      "ratio=",
      "ratio=Infinity",
      "open=yes",
      "zones=a",
      "sizes=[1]",
      "zones=[",
    ])
      await assert.rejects(read([text]), (error) => {
        assert.ok(error instanceof UsageError, String(error));
        assert.match(error.message, new RegExp(`--param ${text.split("=")[0]}`, "u"));
        return true;
      });
    await assert.rejects(read(["nothing"]), UsageError);
    await assert.rejects(read(["=x"]), UsageError);
  });

  test("come from files, variables, or begin with an @ of their own", async () => {
    const { values } = await read(["title=@token", "token=env:SECRET", "unknown=@@x"]);
    assert.deepEqual(values, { title: "from file", token: "from env", unknown: "@x" });
    await assert.rejects(read(["title=@none"]), UsageError);
    await assert.rejects(read(["title=env:NONE"]), /no environment variable NONE/u);
  });

  test("give a hint when a secret is written out, and not when it is not", async () => {
    const { terminal, values } = await read(["token=hunter2"]);
    assert.equal(values["token"], "hunter2");
    assert.match(terminal.errors(), /token is a secret.*token=@file/u);
    assert.doesNotMatch(terminal.errors(), /hunter2/u);
    assert.equal((await read(["token=@token"])).terminal.errors(), "");
    assert.equal((await read(["token=env:SECRET"])).terminal.errors(), "");
  });

  test("go over those of a file or the input", async () => {
    const file = await read(["nodes=5"], { paramsFile: "all.yaml" });
    assert.deepEqual(file.values, { nodes: 5, title: "yaml" });
    const input = await read([], { paramsFile: "-", input: '{"token": "from input"}' });
    assert.deepEqual(input.values, { token: "from input" });
    await assert.rejects(read([], { paramsFile: "-", input: "- a" }), /must be a mapping/u);
    await assert.rejects(read([], { paramsFile: "none.yaml" }), UsageError);
  });
});

describe("tags", () => {
  test("are written name=value", () => {
    assert.deepEqual(readTags(["a=b", "c=d=e"]), { a: "b", c: "d=e" });
    assert.throws(() => readTags(["a"]), UsageError);
  });
});
