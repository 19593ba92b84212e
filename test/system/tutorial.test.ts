import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { terraformConfigurationFile } from "../../tools/tools-directory.ts";
import { testDirectory, TestServer } from "../support/server.ts";
import { blocksOf, Shell, stable, withTexts } from "../support/walkthrough.ts";

/**
 * Runs docs/tutorial.md: its `sh` blocks one after the other in one shell, and compares what they print with the `text` block
 * that follows. `WRITE_TUTORIAL=1` writes what they printed into the page instead.
 */
const root = join(import.meta.dirname, "../..");
const pagePath = join(root, "docs/tutorial.md");
const writes = process.env["WRITE_TUTORIAL"] === "1";

const lacks = [
  ...(spawnSync("terraform", ["version"]).status === 0 ||
  spawnSync("tofu", ["version"]).status === 0
    ? []
    : ["terraform or tofu"]),
  ...(existsSync(terraformConfigurationFile()) ? [] : ["its providers (npm run tools)"]),
];
const skip = lacks.length > 0 && process.env["CI"] !== "true" && `missing: ${lacks.join(" and ")}`;

test("every line of the tutorial does what the tutorial shows", { skip }, async (t) => {
  const home = await testDirectory();
  t.after(home.remove);
  const folder = join(home.path, "glasshouse-tutorial");
  await mkdir(folder);
  const env = environment(home.path);
  const server = await TestServer.start({ data: join(folder, "data"), env });
  t.after(() => server.stop());
  const shell = new Shell({
    folder: home.path,
    cwd: root,
    env: { ...env, GLASSHOUSE_SERVER: server.url },
  });
  t.after(() => shell.end());

  const page = await readFile(pagePath, "utf8");
  const written = new Map<number, string>();
  let printed = "";
  let compared = 0;
  for (const block of blocksOf(page)) {
    if (block.info === "sh" || block.info === "sh checkout") printed = await shell.run(block.text);
    if (block.info !== "text") continue;
    compared += 1;
    if (writes) written.set(block.line, forPage(printed, { home: home.path, url: server.url }));
    else
      assert.deepEqual(
        stable(forPage(printed, { home: home.path, url: server.url })),
        stable(block.text),
        `docs/tutorial.md:${block.line} shows something else. Printed:\n${printed}`,
      );
  }
  assert.ok(compared > 15, `only ${compared} blocks were compared`);
  if (writes) await writeFile(pagePath, withTexts(page, written));
});

function environment(home: string): Record<string, string> {
  const { PATH: path = "" } = process.env;
  const identity = { NAME: "Ada", EMAIL: "ada@example.com" };
  return {
    PATH: path,
    HOME: home,
    TF_CLI_CONFIG_FILE: terraformConfigurationFile(),
    ...Object.fromEntries(
      Object.entries(identity).flatMap(([what, value]) => [
        [`GIT_AUTHOR_${what}`, value],
        [`GIT_COMMITTER_${what}`, value],
      ]),
    ),
  };
}

/** Output as the page shows it: nothing of this machine, ids cut short. */
function forPage(text: string, at: { readonly home: string; readonly url: string }): string {
  return text
    .replaceAll(at.home, "/home/ada")
    .replaceAll(at.url, "http://127.0.0.1:8080")
    .replaceAll(/\b(env|tpl|run|stp|pln|cmd|res)_[0-9A-Za-z]+([0-9A-Za-z]{4})/gu, "$1_…$2")
    .replaceAll(/^RUN {20,}/gmu, "RUN        ")
    .replaceAll(/[ ]+$/gmu, "")
    .replaceAll(/\b([0-9a-f]{12})[0-9a-f]{28,52}\b/gu, "$1…");
}
