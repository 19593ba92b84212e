import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { awaitGone, identityAlive } from "../../../clients/process/identity.ts";
import { childRow, crashContext, crashExecutor, size } from "./crash.fixture.ts";
import { emptyState, parseState } from "./state-file.ts";

const executor = await crashExecutor();
const engine = await executor.program().catch(() => null);
const missing = engine === null && process.env["CI"] === undefined;
const options = missing ? { skip: "neither terraform nor tofu is there" } : {};
/** `GLASSHOUSE_CRASH_ROUNDS=100` makes it long. */
const rounds = Number(process.env["GLASSHOUSE_CRASH_ROUNDS"] ?? 1);

for (const victim of ["the server", "the server and all that it started"] as const) {
  const title = `killing ${victim} with -9 in an apply of ${size} objects loses nothing`;
  test(title, { ...options, timeout: 60_000 + rounds * 20_000 }, async (t) => {
    const sizes: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const directory = await mkdtemp(join(tmpdir(), "glasshouse-crash-"));
      t.after(() => rm(directory, { recursive: true, force: true }));
      sizes.push(await crashOnce(directory, victim, 100 + Math.random() * 1600));
      await rm(directory, { recursive: true, force: true });
    }
    t.diagnostic(`objects in the state after the kill: ${sizes.join(" ")}`);
  });
}

/** Returns how many objects were in the state that recovery found. */
async function crashOnce(directory: string, victim: string, afterMs: number): Promise<number> {
  const fixture = join(import.meta.dirname, "crash.fixture.ts");
  const server = spawn(process.execPath, [fixture, directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(server.stdout, "data");
  await sleep(afterMs);
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
  assert.equal(state.lineage, emptyState("glasshouse/env_1/network", "").lineage);
  assert.ok(state.serial >= (found?.serial ?? 0));
  return found?.instances.length ?? 0;
}

async function stateIn(directory: string): Promise<ReturnType<typeof parseState>> {
  const copy = await crashContext(directory).state.latest();
  return copy === null ? null : parseState(copy.bytes);
}
