import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { awaitGone, identityAlive } from "../../../src/clients/process/identity.ts";
import { childRow, crashContext, owner, size } from "./crash-server.ts";
import type { Engine } from "./engines.ts";
import { engines } from "./engines.ts";
import { emptyState, parseState } from "../../../src/adapters/executors/terraform/state-file.ts";

/** The full number is for the long form of `npm run test:chaos`. */
const rounds = process.env["CRASH_TESTS"] === "full" ? 50 : 1;

for (const engine of engines) {
  for (const victim of ["the server", "the server and all that it started"] as const) {
    const title = `killing ${victim} with -9 while ${engine.name} makes ${size} objects loses nothing`;
    test(title, { skip: engine.skip, timeout: 60_000 + rounds * 30_000 }, async (t) => {
      const sizes: number[] = [];
      for (let round = 0; round < rounds; round += 1) {
        const directory = await mkdtemp(join(tmpdir(), "glasshouse-crash-"));
        t.after(() => rm(directory, { recursive: true, force: true }));
        sizes.push(await crashOnce(directory, engine, victim));
      }
      t.diagnostic(`objects in the state after the kill: ${sizes.join(" ")}`);
    });
  }
}

/** Returns how many objects were in the state that recovery found. */
async function crashOnce(
  directory: string,
  { name, executor }: Engine,
  victim: string,
): Promise<number> {
  const fixture = join(import.meta.dirname, "crash-server.ts");
  const server = spawn(process.execPath, [fixture, directory, name], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(server.stdout, "data");
  await sleep(100 + Math.random() * 1600);
  server.kill("SIGKILL");
  const child = childRow.parse(
    JSON.parse(await readFile(join(directory, "child.json"), "utf8").catch(() => "null")) ?? {
      pid: 1,
      startTime: "never",
      bootId: "",
      stopsWithinMs: 0,
    },
  );
  if (victim !== "the server" && (await identityAlive(child))) process.kill(child.pid, "SIGKILL");
  if (server.exitCode === null && server.signalCode === null) await once(server, "exit");
  assert.notEqual(await awaitGone(child, { kill: false, timeoutMs: 15_000 }), "alive");

  const settled = await executor.settle({ ...crashContext(directory), operation: "apply" });
  assert.notEqual(settled.kind, "ask");
  const found = await stateIn(directory);
  if (settled.kind === "again") await executor.apply(crashContext(directory));
  const state = await stateIn(directory);
  assert.ok(state);
  assert.equal(new Set(state.instances.map(({ address }) => address)).size, size);
  assert.equal(state.lineage, emptyState(owner, "").lineage);
  assert.ok(state.serial >= (found?.serial ?? 0));
  return found?.instances.length ?? 0;
}

async function stateIn(directory: string): Promise<ReturnType<typeof parseState>> {
  const copy = await crashContext(directory).state.latest();
  return copy === null ? null : parseState(copy.bytes);
}
