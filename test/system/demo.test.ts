import assert from "node:assert/strict";
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { describe, test } from "node:test";
import { consulProgram, consulSkip } from "../support/consul-program.ts";
import { freePorts } from "../support/ports.ts";
import { testDirectory } from "../support/server.ts";
import { vaultKind, vaultProgram, vaultSkip } from "../support/vault-program.ts";

const root = join(import.meta.dirname, "../..");
/** Of deploy/local/up, in a row. */
const portsOfTrial = 14;
const serving = "Serving; Ctrl-C ends the server.";

interface Demo {
  readonly child: ChildProcess;
  /** All that it has written so far. */
  output(): string;
}

/** Starts the demo and waits until it serves. */
async function startDemo(data: string, env: NodeJS.ProcessEnv = {}): Promise<Demo> {
  const child = spawn(process.execPath, [join(root, "tools/demo.ts")], {
    cwd: root,
    env: { ...process.env, ...env, GLASSHOUSE_LISTEN: "127.0.0.1:0", GLASSHOUSE_DATA: data },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  const served = new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (output.includes(serving)) resolve();
    });
    child.on("exit", (code) => reject(new Error(`The demo ended with ${code}:\n${output}`)));
  });
  await served;
  return { child, output: () => output };
}

async function interrupt({ child }: Demo): Promise<unknown> {
  const exited = once(child, "exit");
  child.kill("SIGINT");
  const [code] = await exited;
  return code;
}

function addressAfter(label: string, output: string): string {
  const found = new RegExp(`^${label}:\\s+(\\S+)`, "mu").exec(output)?.[1];
  assert.ok(found !== undefined, `no ${label} in:\n${output}`);
  return found;
}

describe("the demo", () => {
  test("creates an environment, serves, ends on SIGINT, and a second start finds the environment", async (t) => {
    const { path: data, remove } = await testDirectory();
    t.after(remove);
    const first = await startDemo(data);
    assert.match(
      first.output(),
      /Creating the environment demo from the sample (?:web-shop|hello)/u,
    );
    assert.doesNotMatch(first.output(), /did not end well/u);
    const page = await fetch(addressAfter("API page", first.output()));
    assert.equal(page.status, 200);
    assert.equal(await interrupt(first), 0);

    const second = await startDemo(data);
    assert.match(second.output(), /Found the environment demo of an earlier start, deployed-ok/u);
    assert.doesNotMatch(second.output(), /did not end well/u);
    if (second.output().includes("Entrypoint:")) {
      const shop = await fetch(addressAfter("Entrypoint", second.output()));
      assert.match(await shop.text(), /We sell/u);
    }
    destroy(new URL(addressAfter("API page", second.output())).origin);
    if (second.output().includes("Entrypoint:")) {
      await assert.rejects(fetch(addressAfter("Entrypoint", second.output())));
    }
    assert.equal(await interrupt(second), 0);
  });

  test(
    "takes the sample with all kinds of groups where Consul and Vault are configured, by the script that starts them",
    { skip: consulSkip || vaultSkip },
    async (t) => {
      const { path: home, remove } = await testDirectory();
      const trial = join(home, "trial");
      t.after(async () => {
        run("deploy/local/down", [trial]);
        await remove();
      });
      const [from = 0] = await freePorts(portsOfTrial);
      const places = { PORTS_FROM: String(from) };
      run("deploy/local/up", [trial, "consul", vaultKind], places);
      const env = environmentOf(trial);
      const demo = await startDemo(join(home, "data"), env);
      assert.match(demo.output(), /Creating the environment demo from the sample discovery/u);
      assert.match(demo.output(), /^demo {2}deployed-ok$/mu);
      assert.match(demo.output(), /kept in the vault store/u);
      assert.match(await settingsIn(env), /Hello, World!/u);
      // What they hold survives an end of both.
      run("deploy/local/down", [trial]);
      run("deploy/local/up", [trial, "consul", vaultKind], places);
      assert.match(await settingsIn(env), /Hello, World!/u);
      destroy(new URL(addressAfter("API page", demo.output())).origin);
      assert.equal(await settingsIn(env), "");
      assert.equal(await interrupt(demo), 0);
    },
  );
});

/** Runs a script of the project to its end, with the programs of Consul and Vault on PATH. */
function run(script: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): void {
  const programs = [consulProgram() ?? "", vaultProgram() ?? ""].map((path) => dirname(path));
  const PATH = [...programs, process.env["PATH"]].join(delimiter);
  const ended = spawnSync(join(root, script), args, {
    env: { ...process.env, PATH, ...env },
    // What the script starts goes on, and must hold no pipe of ours.
    stdio: ["ignore", "ignore", "inherit"],
  });
  assert.equal(ended.status, 0, script);
}

/** The variables that the script wrote for the server. */
function environmentOf(trial: string): NodeJS.ProcessEnv {
  const lines = readFileSync(join(trial, "environment"), "utf8").trim().split("\n");
  return Object.fromEntries(
    lines.map((line) => {
      const [, name = "", value = ""] = /^export (\w+)=(.*)$/u.exec(line) ?? [];
      return [name, value];
    }),
  );
}

/** The sample's greeting as it stands in Consul, or nothing. */
async function settingsIn(env: NodeJS.ProcessEnv): Promise<string> {
  const at = `${env["GLASSHOUSE_CONSUL_ADDRESS"]}/v1/kv/discovery/demo/greeting?raw`;
  const reply = await fetch(at);
  return reply.status === 404 ? "" : reply.text();
}

function destroy(server: string): void {
  const args = ["env", "destroy", "demo", "--yes", "--wait", "--timeout", "2m"];
  const env = { ...process.env, GLASSHOUSE_SERVER: server };
  const ended = spawnSync(join(root, "bin/glasshouse"), args, { env, encoding: "utf8" });
  assert.equal(ended.status, 0, ended.stdout + ended.stderr);
}
