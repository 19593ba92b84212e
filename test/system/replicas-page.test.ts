import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { postgresSkip } from "../support/postgres.ts";
import { freePorts } from "../support/ports.ts";
import { rabbitmqSkip } from "../support/rabbitmq.ts";
import { testDirectory } from "../support/server.ts";
import { blocksOf, Shell, withTexts } from "../support/walkthrough.ts";

/**
 * Runs docs/replicas.md: its `sh` blocks one after the other in one shell, and compares what they print with the `text` block
 * that follows. `WRITE_REPLICAS=1` writes what they printed into the page instead.
 */
const root = join(import.meta.dirname, "../..");
const pagePath = join(root, "docs/replicas.md");
const writes = process.env["WRITE_REPLICAS"] === "1";
/** The page's ports for its four servers; those of deploy/local/up, from 21000 on, are moved together. */
const serverPorts = ["8081", "8082", "8083", "8084"];
const firstPort = 21_000;
const portsOfCluster = 14;

test(
  "every line of the page about replicas does what the page shows",
  { skip: postgresSkip || rabbitmqSkip },
  async (t) => {
    const home = await testDirectory();
    // PostgreSQL's user has to come through to its own folder.
    await chmod(home.path, 0o711);
    const ports = await freePorts(serverPorts.length);
    const [from = 0] = await freePorts(portsOfCluster);
    const shell = new Shell({
      folder: home.path,
      cwd: root,
      env: { PATH: process.env["PATH"], HOME: home.path, PORTS_FROM: String(from) },
    });
    // The directory goes last: what runs in it is found by its files.
    t.after(async () => {
      shell.end();
      spawnSync("sh", ["-c", "kill $(cat cluster/*.pid)"], { cwd: home.path, stdio: "ignore" });
      spawnSync(join(root, "deploy/local/down"), [join(home.path, "cluster")]);
      await home.remove();
    });

    const page = await readFile(pagePath, "utf8");
    const written = new Map<number, string>();
    let printed = "";
    let compared = 0;
    for (const block of blocksOf(page)) {
      if (block.info === "sh")
        printed = forPage(await shell.run(here(block.text, ports)), { home: home.path, from });
      if (block.info !== "text") continue;
      compared += 1;
      if (writes) written.set(block.line, printed);
      else assert.equal(printed, block.text, `docs/replicas.md:${block.line}`);
    }
    assert.ok(compared >= 8, `only ${compared} blocks were compared`);
    if (writes) await writeFile(pagePath, withTexts(page, written));
  },
);

function here(text: string, ports: readonly number[]): string {
  return serverPorts.reduce((result, port, at) => result.replaceAll(port, String(ports[at])), text);
}

function forPage(text: string, of: { readonly home: string; readonly from: number }): string {
  return [0, 1, 2, 3]
    .reduce((result, at) => result.replaceAll(String(of.from + at), String(firstPort + at)), text)
    .replaceAll(of.home, "~");
}
