import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { TestServer, testDirectory } from "../test/support/server.ts";
import { Site } from "../test/support/site.ts";
import { median, type Row } from "./measure.ts";

const pairs = 5;
const idleMs = 20_000;
const environments = 1_000;
const atOnce = 20;
const ticksASecond = 100;
const bareServer = join(import.meta.dirname, "bare-server.fixture.ts");

/** B12: what a start costs against the least that a server with a store is. */
export async function secondStart(): Promise<readonly Row[]> {
  const directory = await testDirectory();
  const data = join(directory.path, "data");
  try {
    const [ours, bare]: [number[], number[]] = [[], []];
    // The first start makes the database and fills the cache of compiled code; it is not measured.
    for (let pair = 0; pair <= pairs; pair += 1) {
      const begun = performance.now();
      const server = await TestServer.start({ data });
      if (pair > 0) ours.push(performance.now() - begun);
      await server.stop();
      const peer = await startBare(join(directory.path, "bare.db"));
      if (pair > 0) bare.push(peer.tookMs);
      peer.child.kill("SIGKILL");
    }
    const ratio = median(ours) / median(bare);
    return [
      {
        name: `second start to ready (${median(ours).toFixed(0)} ms; bare ${median(bare).toFixed(0)} ms)`,
        value: ratio,
        unit: "× bare fastify + SQLite server",
        target: "≤ 1.5",
        ok: ratio <= 1.5,
      },
    ];
  } finally {
    await directory.remove();
  }
}

/** B12: what a server costs that has nothing to do, and what it holds after a thousand environments. */
export async function idle(): Promise<readonly Row[]> {
  const site = await Site.open();
  const directory = await testDirectory();
  const bare = await startBare(join(directory.path, "bare.db"));
  try {
    await pause(3_000);
    const before = cpuMs(site.server.pid);
    await pause(idleMs);
    const share = ((cpuMs(site.server.pid) - before) / idleMs) * 100;
    await createMany(site);
    const overMiB = (rssBytes(site.server.pid) - rssBytes(bare.child.pid ?? 0)) / 2 ** 20;
    return [
      {
        name: `idle CPU over ${idleMs / 1_000} s`,
        value: share,
        unit: "% of a core",
        target: "< 0.5",
        ok: share < 0.5,
      },
      {
        name: "resident memory after 1,000 environments",
        value: overMiB,
        unit: "MiB above the bare server",
        target: "≤ 150",
        ok: overMiB <= 150,
      },
    ];
  } finally {
    bare.child.kill("SIGKILL");
    await site.close();
    await directory.remove();
  }
}

async function createMany(site: Site): Promise<void> {
  const group = { with: { create: ["true"], observe: ["true"] }, more: { outputs: [] } };
  await site.register({ name: "small", groups: { only: group } });
  let next = 0;
  const feed = async (): Promise<void> => {
    while (next < environments) {
      next += 1;
      const run = await site.create(`small-${next}`, "small");
      if (run.status !== "succeeded") throw new Error(`an environment ended as ${run.status}`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, feed));
}

async function startBare(
  file: string,
): Promise<{ readonly child: ChildProcess; readonly tookMs: number }> {
  const begun = performance.now();
  const child = spawn(process.execPath, [bareServer, file], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout.once("data", () => resolve());
    child.once("exit", () => reject(new Error("the bare server ended")));
  });
  return { child, tookMs: performance.now() - begun };
}

/** User and system time of the process so far. */
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  return (ticks / ticksASecond) * 1_000;
}

function rssBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return z.coerce.number().parse(/VmRSS:\s+(\d+)/u.exec(status)?.[1]) * 1_024;
}
