import assert from "node:assert/strict";
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";

const root = join(import.meta.dirname, "../..");
const data = mkdtempSync(join(tmpdir(), "glasshouse-demo-"));
const serving = "Serving; Ctrl-C ends the server.";

interface Demo {
  readonly child: ChildProcess;
  /** All that it has written so far. */
  output(): string;
}

/** Starts the demo and waits until it serves. */
async function startDemo(): Promise<Demo> {
  const child = spawn(process.execPath, [join(root, "tools/demo.ts")], {
    cwd: root,
    env: { ...process.env, GLASSHOUSE_LISTEN: "127.0.0.1:0", GLASSHOUSE_DATA: data },
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
  after(() => rmSync(data, { recursive: true, force: true }));

  test("creates an environment, serves, ends on SIGINT, and a second start finds the environment", async () => {
    const first = await startDemo();
    assert.match(
      first.output(),
      /Creating the environment demo from the sample (?:web-shop|hello)/u,
    );
    assert.doesNotMatch(first.output(), /did not end well/u);
    const page = await fetch(addressAfter("API page", first.output()));
    assert.equal(page.status, 200);
    assert.equal(await interrupt(first), 0);

    const second = await startDemo();
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
});

function destroy(server: string): void {
  const args = ["env", "destroy", "demo", "--yes", "--wait", "--timeout", "2m"];
  const env = { ...process.env, GLASSHOUSE_SERVER: server };
  const ended = spawnSync(join(root, "bin/glasshouse"), args, { env, encoding: "utf8" });
  assert.equal(ended.status, 0, ended.stdout + ended.stderr);
}
