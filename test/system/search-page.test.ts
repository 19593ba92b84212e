import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { testDirectory, TestServer } from "../support/server.ts";
import { blocksOf, Shell } from "../support/walkthrough.ts";

const root = join(import.meta.dirname, "../..");

test("the lines of docs/search.md do what they say", async (t) => {
  const home = await testDirectory();
  t.after(home.remove);
  const server = await TestServer.start({ data: join(home.path, "data") });
  t.after(() => server.stop());
  const blocks = blocksOf(await readFile(join(root, "docs/search.md"), "utf8"));
  const lines = blocks.find(({ info }) => info === "sh")?.text ?? "";
  const answers = blocks.filter(({ info }) => info === "text").map(({ text }) => text.trim());
  const env = { PATH: process.env["PATH"] ?? "", HOME: home.path, GLASSHOUSE_SERVER: server.url };
  const shell = new Shell({ folder: home.path, cwd: root, env });
  t.after(() => shell.end());
  const printed = await shell.run(lines);
  assert.equal(answers.length, 2);
  for (const answer of answers) assert.ok(printed.includes(answer), `${answer}\n\n${printed}`);
  assert.match(
    printed,
    /^observed +letter|^environment +letter-1 .*description: Letters of the Café$/mu,
  );
  assert.match(printed, /^letter$/mu);
  assert.match(printed, /^letter-1$/mu);
  assert.match(printed, /"key": "folder"/u);
  assert.match(printed, /Nothing fits\.\s*$/u);
});
