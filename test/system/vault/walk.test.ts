import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { freePorts } from "../../support/ports.ts";
import { Vault } from "../../support/vault.ts";
import { vaultSkip } from "../../support/vault-program.ts";
import { blocksOf } from "../../support/walkthrough.ts";

const root = join(import.meta.dirname, "../../..");
const blocks = blocksOf(readFileSync(join(root, "docs/vault.md"), "utf8"));

function block(info: string): string {
  const found = blocks.findLast((one) => one.info === info);
  assert.ok(found !== undefined, `docs/vault.md has no block ${info}`);
  return found.text;
}

describe("the walk of docs/vault.md", { skip: vaultSkip }, () => {
  let vault: Vault;
  let server: ChildProcess | null = null;
  before(async () => {
    vault = await Vault.start();
  });
  after(async () => {
    server?.kill("SIGTERM");
    if (server !== null)
      await new Promise((resolve) => {
        server?.once("exit", resolve);
      });
    await vault.close();
  });

  test("does line by line what it says", async () => {
    const [port = 0] = await freePorts(1);
    const env = {
      ...process.env,
      PATH: `${join(root, "bin")}:${process.env["PATH"] ?? ""}`,
      GLASSHOUSE_LISTEN: `127.0.0.1:${port}`,
      GLASSHOUSE_SERVER: `http://127.0.0.1:${port}`,
      GLASSHOUSE_DATA: join(vault.directory, "walk"),
    };
    const start = block("sh server")
      .replace("http://127.0.0.1:8200", vault.url)
      .replace("VAULT_TOKEN=root", `VAULT_TOKEN=${vault.root}`)
      .replace("\nglasshouse", "\nexec glasshouse");
    assert.ok(start.includes(vault.url) && start.includes(vault.root), start);
    const process1 = spawn("sh", ["-euc", start], { env, stdio: ["ignore", "pipe", "inherit"] });
    server = process1;
    await new Promise<void>((resolve, reject) => {
      process1.stdout.on("data", (chunk: Buffer) => {
        if (chunk.toString("utf8").includes("ready at")) resolve();
      });
      process1.once("exit", () => reject(new Error("the server ended")));
    });
    const { code, output } = await run(block("sh"), env);
    assert.equal(code, 0, output);
    assert.match(output, /password {2}version 1 of .*, kept in the vault store/u);
    assert.match(output, /"version": 2/u);
    const listed = await vault.send("LIST", "secret/metadata/glasshouse");
    assert.equal(listed.status, 404, "something was left in Vault");
  });
});

async function run(
  script: string,
  env: NodeJS.ProcessEnv,
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn("sh", ["-euc", script], { env, cwd: root });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk));
  const code = await new Promise<number | null>((resolve) => {
    child.once("close", resolve);
  });
  return { code, output: Buffer.concat(chunks).toString("utf8") };
}
