import assert from "node:assert/strict";
import { mkdir, readFile, symlink } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { consulProgram, consulSkip } from "../../support/consul-program.ts";
import { Consul } from "../../support/consul.ts";
import { testDirectory, TestServer } from "../../support/server.ts";
import { blocksOf, Shell } from "../../support/walkthrough.ts";

const root = join(import.meta.dirname, "../../..");

test(
  "the lines of docs/consul.md do what they say, with the policy of the page",
  { skip: consulSkip },
  async (t) => {
    const consul = await Consul.start();
    t.after(() => consul.close());
    const home = await testDirectory();
    t.after(home.remove);
    const bin = join(home.path, "programs");
    await mkdir(bin);
    await symlink(consulProgram() ?? "", join(bin, "consul"));
    const env = {
      PATH: `${bin}:${process.env["PATH"] ?? ""}`,
      HOME: home.path,
      CONSUL_HTTP_ADDR: consul.url(),
      CONSUL_HTTP_TOKEN: consul.token,
    };
    // The reader's folder has what the page names, and takes what it writes.
    const folder = join(home.path, "folder");
    await mkdir(folder);
    for (const name of ["bin", "docs", "templates"])
      await symlink(join(root, name), join(folder, name));
    const [prepare, walk] = blocksOf(await readFile(join(root, "docs/consul.md"), "utf8"))
      .filter(({ info }) => info === "sh")
      .map(({ text }) => text);
    const before = new Shell({ folder: home.path, cwd: folder, env });
    t.after(() => before.end());
    const looked = await before.run(prepare ?? "");
    assert.match(looked, /✔.*consul.*answers and knows the token/u);
    const server = await TestServer.start({
      data: join(home.path, "data"),
      env: {
        ...env,
        GLASSHOUSE_CONSUL_ADDRESS: consul.url(),
        GLASSHOUSE_CONSUL_TOKEN: `file:${join(folder, "consul.token")}`,
      },
    });
    t.after(() => server.stop());
    const shell = new Shell({
      folder: home.path,
      cwd: folder,
      env: { ...env, GLASSHOUSE_SERVER: server.url },
    });
    t.after(() => shell.end());
    const printed = await shell.run(walk ?? "");
    assert.match(printed, /discovery\/first\/features\/search:\{"enabled":true,"limit":20\}/u);
    assert.match(printed, /discovery\/first\/greeting:Hello, Ada!/u);
    assert.match(printed, /~ discovery\/first\/greeting[^]*exit code 6/u);
    assert.match(printed, /^Hello, Ada!$/mu);
    assert.deepEqual(await consul.keys("discovery/"), {});
    assert.deepEqual(await consul.keys("glasshouse/"), {});
  },
);
